#if defined(EVENKEEL_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_TRANSPOSE_INL_H_
#undef EVENKEEL_KERNELS_TRANSPOSE_INL_H_
#else
#define EVENKEEL_KERNELS_TRANSPOSE_INL_H_
#endif

#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Rows to columns: as many rows at a time as a vector has lanes.

// Columns that are turned at a time: a block of a vector holds as many elements.
template <typename T>
constexpr size_t kBlock = HWY_TARGET == HWY_SCALAR ? 1 : 16 / sizeof(T);

#if HWY_TARGET == HWY_SCALAR
template <class D, class Row>
HWY_INLINE hn::Vec<D> gather_blocks(D, size_t first, Row&& row) {
  return row(first);
}
template <class D, class Put>
HWY_INLINE void scatter_blocks(D, hn::Vec<D> vector, size_t first, Put&& put) {
  put(first, vector);
}
template <class D>
HWY_INLINE void transpose_blocks(D, hn::Vec<D> (&)[1]) {}
#else
// row(first), row(first + kBlock), …, each a block, as one vector ...
template <class D, class Row>
HWY_INLINE hn::Vec<D> gather_blocks(D d, size_t first, Row&& row) {
  if constexpr (hn::MaxLanes(D()) == kBlock<hn::TFromD<D>>) {
    return row(first);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, gather_blocks(half, first + hn::Lanes(half), row), gather_blocks(half, first, row));
  }
}
// ... and back: put(first, block), put(first + kBlock, block), …
template <class D, class Put>
HWY_INLINE void scatter_blocks([[maybe_unused]] D d, hn::Vec<D> vector, size_t first, Put&& put) {
  if constexpr (hn::MaxLanes(D()) == kBlock<hn::TFromD<D>>) {
    put(first, vector);
  } else {
    const hn::Half<D> half;
    scatter_blocks(half, hn::LowerHalf(half, vector), first, put);
    scatter_blocks(half, hn::UpperHalf(half, vector), first + hn::Lanes(half), put);
  }
}
// Element c of vector r of each block and element r of vector c change places.
template <class D>
HWY_INLINE void transpose_blocks(D d, hn::Vec<D> (&v)[2]) {
  const auto low = hn::InterleaveLower(d, v[0], v[1]);
  v[1] = hn::InterleaveUpper(d, v[0], v[1]);
  v[0] = low;
}
template <class D>
HWY_INLINE void transpose_blocks(D d, hn::Vec<D> (&v)[4]) {
  const hn::Repartition<double, D> pairs;
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, v[0], v[1]));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, v[0], v[1]));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, v[2], v[3]));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, v[2], v[3]));
  v[0] = hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23));
  v[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23));
  v[2] = hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23));
  v[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23));
}
#endif

// Whole groups are told apart from the last one so that their rows need no question.
struct AllRows {
  static constexpr bool has(size_t /*row*/) { return true; }
};
struct SomeRows {
  size_t rows;
  bool has(size_t row) const { return row < rows; }
};

// Column c of so many rows as a vector has lanes, or the first of them and zeros, to the vector at to + c · ld_to.
template <class Rows, typename T>
void transpose_rows_to_lanes(Rows rows, size_t size, const T* from, size_t ld, T* to, size_t ld_to) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, kBlock<T>> block;
  size_t col = 0;
  for (; col + kBlock<T> <= size; col += kBlock<T>) {
    hn::Vec<decltype(d)> v[kBlock<T>];
    const auto row = [=](size_t r) HWY_ATTR { return rows.has(r) ? hn::LoadU(block, from + r * ld + col) : hn::Zero(block); };
    unrolled<kBlock<T>>([&](size_t r) HWY_ATTR { v[r] = gather_blocks(d, r, row); });
    transpose_blocks(d, v);
    unrolled<kBlock<T>>([&](size_t c) HWY_ATTR { hn::Store(v[c], d, to + (col + c) * ld_to); });
  }
  for (; col < size; ++col) {
    for (size_t r = 0; r < hn::Lanes(d); ++r) to[col * ld_to + r] = rows.has(r) ? from[r * ld + col] : T{0};
  }
}

template <typename T>
void transpose_to_lanes(size_t rows, size_t size, const T* from, size_t ld, T* to, size_t ld_to) {
  if (rows == hn::Lanes(hn::ScalableTag<T>())) return transpose_rows_to_lanes(AllRows(), size, from, ld, to, ld_to);
  transpose_rows_to_lanes(SomeRows{rows}, size, from, ld, to, ld_to);
}

template <class Rows, typename T>
void transpose_from_lanes(Rows rows, size_t size, const T* from, T* to, size_t ld) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, kBlock<T>> block;
  const size_t lanes = hn::Lanes(d);
  size_t col = 0;
  for (; col + kBlock<T> <= size; col += kBlock<T>) {
    hn::Vec<decltype(d)> v[kBlock<T>];
    unrolled<kBlock<T>>([&](size_t c) HWY_ATTR { v[c] = hn::Load(d, from + (col + c) * lanes); });
    transpose_blocks(d, v);
    const auto put = [=](size_t r, auto values) HWY_ATTR {
      if (rows.has(r)) hn::StoreU(values, block, to + r * ld + col);
    };
    unrolled<kBlock<T>>([&](size_t r) HWY_ATTR { scatter_blocks(d, v[r], r, put); });
  }
  for (; col < size; ++col) {
    for (size_t r = 0; r < lanes && rows.has(r); ++r) to[r * ld + col] = from[col * lanes + r];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
