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
#else
using D64 = hn::ScalableTag<std::uint64_t>;
using V64 = hn::Vec<D64>;
constexpr size_t kMaxBlocks = hn::MaxLanes(D64());
HWY_INLINE size_t blocks_at_once() { return hn::Lanes(D64()); }

// philox::words of as many blocks as there are lanes of 64 bits, from `block` on: words [lanes, 4]. A word stands in the lower half of its
// lane; what stands in the upper one does not matter, since only lower halves are multiplied and none is added to.
HWY_INLINE void draw_blocks(const MaskStream& stream, std::uint32_t row, std::uint32_t block, std::uint32_t* words) {
  const D64 d;
  const hn::RepartitionToNarrow<D64> halves;
  const hn::Rebind<std::uint32_t, D64> d32;
  const auto product = [&](V64 a, std::uint32_t b) HWY_ATTR { return hn::MulEven(hn::BitCast(halves, a), hn::Set(halves, b)); };
  // A block's number goes on after 2^32 − 1 from 0.
  V64 c0 = hn::Add(hn::Iota(d, 0), hn::Set(d, block));
  V64 c1 = hn::Set(d, row);
  V64 c2 = hn::Set(d, stream.step);
  V64 c3 = hn::Set(d, stream.stream);
  auto [k0, k1] = stream.key;
  for (int round = 0; round < philox::kRounds; ++round) {
    const V64 p0 = product(c0, philox::kMultiplier0);
    const V64 p1 = product(c2, philox::kMultiplier1);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
    c1 = p1;
    c3 = p0;
    k0 += philox::kWeyl0;
    k1 += philox::kWeyl1;
  }
  const auto low = [&](V64 word) HWY_ATTR { return hn::TruncateTo(d32, word); };
  hn::StoreInterleaved4(low(c0), low(c1), low(c2), low(c3), d32, words);
}
#endif

// hit in the lanes whose word is below the threshold, else miss.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> mask_of_words(D d, const std::uint32_t* words, std::uint32_t threshold, T hit, T miss) {
  const hn::RebindToUnsigned<D> wide;
  const hn::Rebind<std::uint32_t, D> narrow;
  const auto chosen = [&](auto word) HWY_ATTR {
    const auto below = hn::Lt(word, hn::Set(wide, threshold));
    return hn::IfThenElse(hn::RebindMask(d, below), hn::Set(d, hit), hn::Set(d, miss));
  };
  if constexpr (sizeof(T) == sizeof(std::uint64_t)) {
    return chosen(hn::PromoteTo(wide, hn::LoadU(narrow, words)));
  } else {
    return chosen(hn::LoadU(narrow, words));
  }
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

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
