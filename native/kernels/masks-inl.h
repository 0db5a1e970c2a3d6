#if defined(EVENKEEL_KERNELS_MASKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_MASKS_INL_H_
#undef EVENKEEL_KERNELS_MASKS_INL_H_
#else
#define EVENKEEL_KERNELS_MASKS_INL_H_
#endif

#include <algorithm>

#include "kernels/mask_kernels.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
constexpr size_t kMaxBlocks = 1;
HWY_INLINE size_t blocks_at_once() { return 1; }

HWY_INLINE void draw_blocks(const MaskStream& stream, std::uint32_t row, std::uint32_t block, std::uint32_t* words) {
  const philox::Counter drawn = philox::words({block, row, stream.step, stream.stream}, stream.key);
  std::copy(drawn.begin(), drawn.end(), words);
}

// Its lane is one row.
template <typename T>
HWY_INLINE size_t draw_in_lanes(const MaskStream& stream, const std::uint32_t* rows, std::uint32_t block, std::uint32_t* words) {
  draw_blocks(stream, rows[0], block, words);
  return 4;
}
#else
using D64 = hn::ScalableTag<std::uint64_t>;
using V64 = hn::Vec<D64>;
constexpr size_t kMaxBlocks = 2 * hn::MaxLanes(D64());
HWY_INLINE size_t blocks_at_once() { return 2 * hn::Lanes(D64()); }

// philox::words of two vectors of counters {block, row, …} side by side, which fill each other's latency: store(words 0 to 3, which of the
// two). A word stands in the lower half of its lane; what stands in the upper one does not matter, since only lower halves are multiplied
// and none is added to.
template <class Store>
HWY_INLINE void draw_pair(const MaskStream& stream, V64 block_a, V64 row_a, V64 block_b, V64 row_b, Store&& store) {
  const D64 d;
  const hn::RepartitionToNarrow<D64> halves;
  const hn::Rebind<std::uint32_t, D64> d32;
  const auto product = [&](V64 a, std::uint32_t b) HWY_ATTR { return hn::MulEven(hn::BitCast(halves, a), hn::Set(halves, b)); };
  const auto round_of = [&](V64& c0, V64& c1, V64& c2, V64& c3, V64 k0, V64 k1) HWY_ATTR {
    const V64 p0 = product(c0, philox::kMultiplier0);
    const V64 p1 = product(c2, philox::kMultiplier1);
    c0 = hn::Xor3(hn::ShiftRight<32>(p1), c1, k0);
    c2 = hn::Xor3(hn::ShiftRight<32>(p0), c3, k1);
    c1 = p1;
    c3 = p0;
  };
  V64 a0 = block_a, a1 = row_a, a2 = hn::Set(d, stream.step), a3 = hn::Set(d, stream.stream);
  V64 b0 = block_b, b1 = row_b, b2 = a2, b3 = a3;
  auto [k0, k1] = stream.key;
  for (int round = 0; round < philox::kRounds; ++round) {
    const V64 key0 = hn::Set(d, k0), key1 = hn::Set(d, k1);
    round_of(a0, a1, a2, a3, key0, key1);
    round_of(b0, b1, b2, b3, key0, key1);
    k0 += philox::kWeyl0;
    k1 += philox::kWeyl1;
  }
  const auto low = [&](V64 word) HWY_ATTR { return hn::TruncateTo(d32, word); };
  store(low(a0), low(a1), low(a2), low(a3), size_t{0});
  store(low(b0), low(b1), low(b2), low(b3), size_t{1});
}

// Of one row, blocks_at_once() blocks from `block` on: words [blocks, 4].
HWY_INLINE void draw_blocks(const MaskStream& stream, std::uint32_t row, std::uint32_t block, std::uint32_t* words) {
  const D64 d;
  const hn::Rebind<std::uint32_t, D64> d32;
  const V64 rows = hn::Set(d, row);
  // A block's number goes on after 2^32 − 1 from 0.
  const V64 first = hn::Add(hn::Iota(d, 0), hn::Set(d, block));
  const V64 second = hn::Add(first, hn::Set(d, hn::Lanes(d)));
  draw_pair(stream, first, rows, second, rows, [&](auto w0, auto w1, auto w2, auto w3, size_t which) HWY_ATTR {
    hn::StoreInterleaved4(w0, w1, w2, w3, d32, words + which * 4 * hn::Lanes(d));
  });
}

// Of a group of rows, one in each lane of a vector of T, the units from 4 · block on: words [units, lanes]. Returns how many units.
template <typename T>
HWY_INLINE size_t draw_in_lanes(const MaskStream& stream, const std::uint32_t* rows, std::uint32_t block, std::uint32_t* words) {
  const D64 d;
  const hn::Rebind<std::uint32_t, D64> d32;
  const size_t half = hn::Lanes(d), lanes = hn::Lanes(hn::ScalableTag<T>());
  const bool two_vectors = lanes > half;  // of rows; else two blocks at once
  const V64 first = hn::PromoteTo(d, hn::LoadU(d32, rows));
  const V64 second = two_vectors ? hn::PromoteTo(d, hn::LoadU(d32, rows + half)) : first;
  const V64 blocks = hn::Set(d, block), next = hn::Set(d, std::uint64_t{block} + (two_vectors ? 0 : 1));
  draw_pair(stream, blocks, first, next, second, [&](auto w0, auto w1, auto w2, auto w3, size_t which) HWY_ATTR {
    std::uint32_t* to = words + (two_vectors ? which * half : which * 4 * lanes);
    hn::StoreU(w0, d32, to);
    hn::StoreU(w1, d32, to + lanes);
    hn::StoreU(w2, d32, to + 2 * lanes);
    hn::StoreU(w3, d32, to + 3 * lanes);
  });
  return two_vectors ? 4 : 8;
}
#endif

// The lanes whose word is below the threshold.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Mask<D> hits_of_words(D d, const std::uint32_t* words, std::uint32_t threshold) {
  const hn::RebindToUnsigned<D> wide;
  const hn::Rebind<std::uint32_t, D> narrow;
  if constexpr (sizeof(T) == sizeof(std::uint64_t)) {
    return hn::RebindMask(d, hn::Lt(hn::PromoteTo(wide, hn::LoadU(narrow, words)), hn::Set(wide, threshold)));
  } else {
    return hn::RebindMask(d, hn::Lt(hn::LoadU(narrow, words), hn::Set(wide, threshold)));
  }
}

// hit in these lanes, else miss.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> mask_of_words(D d, const std::uint32_t* words, std::uint32_t threshold, T hit, T miss) {
  return hn::IfThenElse(hits_of_words(d, words, threshold), hn::Set(d, hit), hn::Set(d, miss));
}

template <typename T>
void random_words(const MaskStream& stream, std::uint32_t row, std::uint32_t first_block, size_t blocks, std::uint32_t* words) {
  HWY_ALIGN std::uint32_t drawn[4 * kMaxBlocks];
  const size_t step = blocks_at_once();
  for (size_t block = 0; block < blocks; block += step) {
    draw_blocks(stream, row, first_block + static_cast<std::uint32_t>(block), drawn);
    std::copy_n(drawn, 4 * std::min(step, blocks - block), words + 4 * block);
  }
}

template <typename T>
void apply_mask(const MaskStream& stream, std::uint64_t threshold, T hit, T miss, size_t first_row, size_t rows, size_t first_unit,
                size_t units, const T* input, size_t ld_input, T* output, size_t ld_output) {
  const hn::ScalableTag<T> d;
  // No word is below 0, and none is not below 2^32, which 32 bits do not hold.
  if (threshold > 0xffffffff) {
    threshold = 0;
    miss = hit;
  }
  const auto below = static_cast<std::uint32_t>(threshold);
  HWY_ALIGN std::uint32_t words[4 * kMaxBlocks];
  const size_t step = 4 * blocks_at_once();
  for (size_t r = 0; r < rows; ++r) {
    const T* from = input == nullptr ? nullptr : input + r * ld_input;
    T* to = output + r * ld_output;
    for (size_t u = 0; u < units; u += step) {
      draw_blocks(stream, static_cast<std::uint32_t>(first_row + r), static_cast<std::uint32_t>((first_unit + u) / 4), words);
      for_each_vector(d, std::min(step, units - u), [&](size_t i, auto memory) HWY_ATTR {
        const auto mask = mask_of_words(d, words + i, below, hit, miss);
        // A product, not a choice: NaN and infinity in what is dropped stay NaN.
        memory.store(d, from == nullptr ? mask : hn::Mul(memory.load(d, from + u + i), mask), to + u + i);
      });
    }
  }
}

// body(d, hits, row, i, memory) for the vectors of the units, of elements from i on; in lanes, row 0.
template <typename T, class Body>
HWY_INLINE void for_each_held(const MaskStream& stream, std::uint64_t threshold, const MaskedUnits& of, Body&& body) {
  const hn::ScalableTag<T> d;
  constexpr size_t kMostLanes = hn::MaxLanes(d);
  HWY_ALIGN std::uint32_t words[4 * kMaxBlocks + kMostLanes];
  // No word is below 0, and none is not below 2^32, which 32 bits do not hold.
  const bool all = threshold > 0xffffffff;
  const auto below = static_cast<std::uint32_t>(threshold);
  const auto every = hn::Eq(hn::Zero(d), hn::Set(d, all ? T{0} : T{1}));
  const auto hits = [&](const std::uint32_t* from) HWY_ATTR { return hn::Or(hits_of_words(d, from, below), every); };
  const size_t end = of.first + of.units;
  if (of.lanes > 0) {
    HWY_ALIGN std::uint32_t rows[kMostLanes] = {};
    for (size_t r = 0; r < of.count; ++r) rows[r] = static_cast<std::uint32_t>(of.rows[r]);
    for (size_t unit = of.first / 4 * 4; unit < end;) {
      const size_t drawn = draw_in_lanes<T>(stream, rows, static_cast<std::uint32_t>(unit / 4), words);
      for (size_t u = unit < of.first ? of.first - unit : 0; u < drawn && unit + u < end; ++u) {
        body(d, hits(words + u * of.lanes), size_t{0}, (unit + u - of.first) * of.lanes, WholeVector());
      }
      unit += drawn;
    }
    return;
  }
  const size_t step = 4 * blocks_at_once();
  for (size_t r = 0; r < of.count; ++r) {
    for (size_t unit = of.first / 4 * 4; unit < end; unit += step) {
      draw_blocks(stream, static_cast<std::uint32_t>(of.rows[r]), static_cast<std::uint32_t>(unit / 4), words);
      const size_t skipped = unit < of.first ? of.first - unit : 0;
      for_each_vector(d, HWY_MIN(step, end - unit) - skipped, [&](size_t i, auto memory) HWY_ATTR {
        body(d, hits(words + skipped + i), r, unit + skipped - of.first + i, memory);
      });
    }
  }
}

template <typename T>
void hold_forward(const MaskStream& stream, std::uint64_t threshold, const MaskedUnits& of, const HoldForward<T>& given) {
  const HoldForward<T> a = given;
  const StepArray<T> second = a.output ? a.output : a.state;
  for_each_held<T>(stream, threshold, of, [&](auto d, auto hits, size_t row, size_t i, auto memory) HWY_ATTR {
    const auto state = hn::IfThenElse(hits, memory.load(d, a.before.row(row) + i), memory.load(d, a.candidate.row(row) + i));
    memory.store(d, state, a.state.row(row) + i);
    memory.store(d, state, second.row(row) + i);
  });
}

template <typename T>
void hold_backward(const MaskStream& stream, std::uint64_t threshold, const MaskedUnits& of, const HoldBackward<T>& given) {
  const HoldBackward<T> a = given;
  for_each_held<T>(stream, threshold, of, [&](auto d, auto hits, size_t row, size_t i, auto memory) HWY_ATTR {
    const auto all = memory.load(d, a.dstate.row(row) + i);
    memory.store(d, hn::IfThenElseZero(hits, all), a.past.row(row) + i);
    memory.store(d, hn::IfThenZeroElse(hits, all), a.dstate.row(row) + i);
  });
}

template <typename T>
void multiply_mask(size_t rows, size_t units, const T* mask, StepArray<const T> from, StepArray<T> to, bool add) {
  const hn::ScalableTag<T> d;
  for (size_t r = 0; r < rows; ++r) {
    const T* source = from.row(r);
    const T* factors = mask + r * units;
    T* target = to.row(r);
    for_each_vector(d, units, [&](size_t i, auto memory) HWY_ATTR {
      const auto product = hn::Mul(memory.load(d, source + i), memory.load(d, factors + i));
      memory.store(d, add ? hn::Add(memory.load(d, target + i), product) : product, target + i);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
