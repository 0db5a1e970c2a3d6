#if defined(EVENKEEL_KERNELS_ROW_GROUPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_ROW_GROUPS_INL_H_
#undef EVENKEEL_KERNELS_ROW_GROUPS_INL_H_
#else
#define EVENKEEL_KERNELS_ROW_GROUPS_INL_H_
#endif

#include <cstdint>

#include "kernels/tile-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Rows go through each stage in groups: what a stage computes of a row (a sum over lanes, a root) takes long to come, and the other rows'
// work fills that time; and a group that lies in the first cache is read from memory once. Where it comes from beyond the caches, it is a
// small one, so that the next one's rows come meanwhile. A row's result does not depend on its group.
constexpr size_t kGroupRows = 64;
constexpr size_t kStreamedRows = 16;
constexpr size_t kGroupElements = 2048;

inline size_t group_rows(size_t size, bool streams) {
  return HWY_MAX(size_t{1}, HWY_MIN(streams ? kStreamedRows : kGroupRows, kGroupElements / size));
}

// Rows of many vectors ...
struct LongRows {
  static constexpr bool kShort = false;
  size_t size;
  bool streams;

  // body(i, memory) over the columns of rows that `output` points into, whose stores go past the caches or not
  template <class D, class Body, typename T = hn::TFromD<D>>
  HWY_INLINE void for_each_column(D d, const T* output, Body&& body) const {
    if (streams && size % hn::Lanes(d) == 0) {
      for_each_vector_streamed(d, size, output, body);
    } else {
      for_each_vector(d, size, body);
    }
  }
};

// ... and of kWhole vectors and what is left: the loops over them are unrolled, which would otherwise cost as much as the work in them.
template <size_t kWhole>
struct ShortRows {
  static constexpr bool kShort = true;
  size_t size;
  bool streams;  // where its rows are no whole vectors, stores go into the caches even so

  template <class D, class Body, typename T = hn::TFromD<D>>
  HWY_INLINE void for_each_column(D d, const T* /*output*/, Body&& body) const {
    const size_t whole = kWhole * hn::Lanes(d);
    unrolled<kWhole>([&](size_t v) HWY_ATTR { body(v * hn::Lanes(d), WholeVector()); });
    if (whole < size) body(whole, PartOfVector{size - whole});
  }
};

// body(rows) with the one or the other.
template <typename T, class Body>
HWY_INLINE void with_rows(size_t size, bool streams, Body&& body) {
  // Each of them is compiled apart, which for the targets of old processors is not worth its time.
  constexpr size_t kMostWhole = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2 ? 1 : 4;
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  if (size / lanes > kMostWhole || (streams && size % lanes == 0)) return body(LongRows{size, streams});
  with_constant<kMostWhole + 1>(size / lanes + 1, [&](auto n) HWY_ATTR { body(ShortRows<decltype(n)::value - 1>{size, streams}); });
}

// Sums over each row of a group. Of short rows, a vector of each row's sums lane by lane is kept, and those of all rows are added across
// lanes together, with a third of the shuffles that it takes row by row.
template <typename T, bool kTogether>
class RowSums {
  static constexpr hn::ScalableTag<T> d{};
  static constexpr size_t kLanes = hn::MaxLanes(d);

 public:
  HWY_INLINE void set(size_t r, hn::Vec<decltype(d)> lanes) {
    if constexpr (kTogether) {
      hn::Store(lanes, d, sums_ + r * kLanes);
    } else {
      sums_[r] = lane_sum(d, lanes);
    }
  }

  // sums: [kGroupRows], of each row. The order of a sum does not depend on `rows`, nor on r
  HWY_INLINE void add_up(size_t rows, T* sums) const {
    for (size_t r = 0; r < rows; r += kLanes) {
      hn::Store(kTogether ? across<kLanes>(rows - r, sums_ + r * kLanes) : hn::Load(d, sums_ + r), d, sums + r);
    }
  }

 private:
  // The sums of up to kRows rows, each lane of a vector a part of its row's: of a row 0, 1, 2, 3, … become 0 + 1, 2 + 3, …
  template <size_t kRows>
  static HWY_INLINE hn::Vec<decltype(d)> across([[maybe_unused]] size_t rows, const T* lanes) {
    if constexpr (kRows == 1) {
      return hn::Load(d, lanes);
#if HWY_TARGET != HWY_SCALAR  // which has one lane
    } else {
      constexpr size_t kHalf = kRows / 2;
      const auto low = across<kHalf>(rows, lanes);
      const auto high = rows > kHalf ? across<kHalf>(rows - kHalf, lanes + kHalf * kLanes) : low;
      return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
#endif
    }
  }

  static_assert(kGroupRows % kLanes == 0);
  HWY_ALIGN T sums_[kTogether ? kGroupRows * kLanes : kGroupRows];
};

// Of row r: first, second = Σ of what body(i, memory, first, second) adds to two vectors. Four of each hide the latency of additions.
template <class D, class Sums, class Body>
HWY_INLINE void sum_row(D d, LongRows rows, size_t r, Sums& first, Sums& second, Body&& body) {
  const size_t size = rows.size;
  const size_t lanes = hn::Lanes(d);
  auto a0 = hn::Zero(d), b0 = a0;
  size_t i = 0;
  if (size >= 4 * lanes) {
    auto a1 = a0, a2 = a0, a3 = a0, b1 = a0, b2 = a0, b3 = a0;
    for (; i + 4 * lanes <= size; i += 4 * lanes) {
      body(i, WholeVector(), a0, b0);
      body(i + lanes, WholeVector(), a1, b1);
      body(i + 2 * lanes, WholeVector(), a2, b2);
      body(i + 3 * lanes, WholeVector(), a3, b3);
    }
    a0 = hn::Add(hn::Add(a0, a1), hn::Add(a2, a3));
    b0 = hn::Add(hn::Add(b0, b1), hn::Add(b2, b3));
  }
  for (; i + lanes <= size; i += lanes) body(i, WholeVector(), a0, b0);
  if (i < size) body(i, PartOfVector{size - i}, a0, b0);
  first.set(r, a0);
  second.set(r, b0);
}
template <class D, size_t kWhole, class Sums, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void sum_row(D d, ShortRows<kWhole> rows, size_t r, Sums& first, Sums& second, Body&& body) {
  auto a = hn::Zero(d), b = a;
  rows.for_each_column(d, static_cast<const T*>(nullptr), [&](size_t i, auto memory) HWY_ATTR { body(i, memory, a, b); });
  first.set(r, a);
  second.set(r, b);
}

// Which rows of a group go through a stage of their own (extreme_rows.h), gathered a vector of rows at a time.
template <typename T>
class FlaggedRows {
  static constexpr hn::ScalableTag<T> d{};

 public:
  HWY_ATTR HWY_INLINE FlaggedRows() : any_(hn::Zero(d)) {}  // written out for the target, as Tile's

  template <class Memory, class M>
  HWY_INLINE void set(size_t r, Memory memory, M mask) {
    const auto flags = zero_missing(d, memory, hn::VecFromMask(d, mask));
    hn::Store(flags, d, flags_ + r);
    any_ = hn::Or(any_, flags);
  }
  HWY_INLINE bool any() const { return HWY_UNLIKELY(!hn::AllFalse(d, hn::MaskFromVec(any_))); }
  const T* flags() const { return flags_; }

 private:
  hn::Vec<decltype(d)> any_;
  HWY_ALIGN T flags_[kGroupRows];
};

// ordinary(first, last) for the stretches of rows between those of the mask, and extreme(r) for these.
template <class Ordinary, class Extreme>
HWY_INLINE void for_each_stretch(size_t begin, size_t end, uint64_t mask, Ordinary&& ordinary, Extreme&& extreme) {
  for (size_t first = begin;;) {
    const size_t last = HWY_LIKELY(mask == 0) ? end : begin + hwy::Num0BitsBelowLS1Bit_Nonzero64(mask);
    ordinary(first, last);
    if (HWY_LIKELY(mask == 0)) return;
    extreme(last);
    mask &= mask - 1;
    first = last + 1;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
