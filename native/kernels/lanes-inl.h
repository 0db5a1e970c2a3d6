#if defined(EVENKEEL_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_LANES_INL_H_
#undef EVENKEEL_KERNELS_LANES_INL_H_
#else
#define EVENKEEL_KERNELS_LANES_INL_H_
#endif

#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
size_t lane_count() {
  return hn::Lanes(hn::ScalableTag<T>());
}

// --- rows to lanes and back ------------------------------------------------------------------------------------------

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
HWY_INLINE void turn_blocks(D, hn::Vec<D> (&)[1]) {}
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
HWY_INLINE void turn_blocks(D d, hn::Vec<D> (&v)[2]) {
  const auto low = hn::InterleaveLower(d, v[0], v[1]);
  v[1] = hn::InterleaveUpper(d, v[0], v[1]);
  v[0] = low;
}
template <class D>
HWY_INLINE void turn_blocks(D d, hn::Vec<D> (&v)[4]) {
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

template <class Rows, typename T>
void turn_to_lanes(Rows rows, size_t size, const T* from, size_t ld, T* to) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, kBlock<T>> block;
  const size_t lanes = hn::Lanes(d);
  size_t col = 0;
  for (; col + kBlock<T> <= size; col += kBlock<T>) {
    hn::Vec<decltype(d)> v[kBlock<T>];
    const auto row = [=](size_t r) HWY_ATTR { return rows.has(r) ? hn::LoadU(block, from + r * ld + col) : hn::Zero(block); };
    unrolled<kBlock<T>>([&](size_t r) HWY_ATTR { v[r] = gather_blocks(d, r, row); });
    turn_blocks(d, v);
    unrolled<kBlock<T>>([&](size_t c) HWY_ATTR { hn::Store(v[c], d, to + (col + c) * lanes); });
  }
  for (; col < size; ++col) {
    for (size_t r = 0; r < lanes; ++r) to[col * lanes + r] = rows.has(r) ? from[r * ld + col] : T{0};
  }
}

template <class Rows, typename T>
void turn_from_lanes(Rows rows, size_t size, const T* from, T* to, size_t ld) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, kBlock<T>> block;
  const size_t lanes = hn::Lanes(d);
  size_t col = 0;
  for (; col + kBlock<T> <= size; col += kBlock<T>) {
    hn::Vec<decltype(d)> v[kBlock<T>];
    unrolled<kBlock<T>>([&](size_t c) HWY_ATTR { v[c] = hn::Load(d, from + (col + c) * lanes); });
    turn_blocks(d, v);
    const auto put = [=](size_t r, auto values) HWY_ATTR {
      if (rows.has(r)) hn::StoreU(values, block, to + r * ld + col);
    };
    unrolled<kBlock<T>>([&](size_t r) HWY_ATTR { scatter_blocks(d, v[r], r, put); });
  }
  for (; col < size; ++col) {
    for (size_t r = 0; r < lanes && rows.has(r); ++r) to[r * ld + col] = from[col * lanes + r];
  }
}

template <typename T>
void to_lanes(size_t rows, size_t size, const T* from, size_t ld, T* to) {
  if (rows == lane_count<T>()) return turn_to_lanes(AllRows(), size, from, ld, to);
  turn_to_lanes(SomeRows{rows}, size, from, ld, to);
}

template <typename T>
void from_lanes(size_t rows, size_t size, const T* from, T* to, size_t ld) {
  if (rows == lane_count<T>()) return turn_from_lanes(AllRows(), size, from, to, ld);
  turn_from_lanes(SomeRows{rows}, size, from, to, ld);
}

// --- products --------------------------------------------------------------------------------------------------------

// As many columns at a time as there are sums in a tile.
template <size_t R, typename T>
HWY_NOINLINE void multiply_lane_tile(const LanesOperand<T>& first, const LanesOperand<T>& second, size_t col, const T* start, T* c) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  Tile<R, 1, T> tile;
  tile.clear();
  for (const LanesOperand<T>* operand : {&first, &second}) {
    const T* a = operand->a;
    const T* weights = operand->weights + col;
    for (size_t k = 0; k < operand->k; ++k, a += lanes, weights += operand->ld) {
      const auto factor = hn::Load(d, a);
      tile.multiply_add([=](size_t r) HWY_ATTR { return hn::Set(d, weights[r]); }, [=](size_t) HWY_ATTR { return factor; });
    }
  }
  unrolled<R>([&](size_t r) HWY_ATTR {
    const size_t at = (col + r) * lanes;
    hn::Store(start == nullptr ? tile.sum[r][0] : hn::Add(tile.sum[r][0], hn::Load(d, start + at)), d, c + at);
  });
}

template <typename T>
void multiply_in_lanes(size_t cols, const LanesOperand<T>& first, const LanesOperand<T>& second, const T* start, T* c) {
  for_each_tile<kTileSums>(cols, [&](size_t col, auto count) HWY_ATTR { multiply_lane_tile<count()>(first, second, col, start, c); });
}

constexpr size_t kOuterRows = kTileSums == 24 ? 4 : 3;
constexpr size_t kOuterColumns = kTileSums / kOuterRows;

template <size_t R, size_t V, typename T>
HWY_NOINLINE void sum_lane_products(size_t steps, const T* a, size_t a_step, const T* b, size_t b_step, T* sums, size_t ld) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  Tile<R, V, T> tile;
  tile.clear();
  for (size_t step = 0; step < steps; ++step, a += a_step, b += b_step) {
    tile.multiply_add([=](size_t r) HWY_ATTR { return hn::Load(d, a + r * lanes); },
                      [=](size_t v) HWY_ATTR { return hn::Load(d, b + v * lanes); });
  }
  unrolled<R * V>([&](size_t i) HWY_ATTR { sums[i / V * ld + i % V] = lane_sum(d, tile.sum[i / V][i % V]); });
}

template <typename T>
void sum_products_in_lanes(size_t steps, size_t m, size_t n, const T* a, size_t a_step, const T* b, size_t b_step, T* sums) {
  const size_t lanes = lane_count<T>();
  for_each_tile<kOuterRows>(m, [&](size_t row, auto rows) HWY_ATTR {
    for_each_tile<kOuterColumns>(n, [&](size_t col, auto cols) HWY_ATTR {
      sum_lane_products<rows(), cols()>(steps, a + row * lanes, a_step, b + col * lanes, b_step, sums + row * n + col, n);
    });
  });
}

// --- cells -----------------------------------------------------------------------------------------------------------

template <class Phi, typename T>
void elman_lanes(size_t size, const T* preactivation, const T* bias, T* state) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  for (size_t i = 0; i < size; ++i) {
    const auto a = hn::Add(hn::Load(d, preactivation + i * lanes), hn::Set(d, bias[i]));
    hn::Store(Phi::apply(d, a), d, state + i * lanes);
  }
}

template <typename T>
void elman_forward_in_lanes(Nonlinearity nonlinearity, size_t size, const T* preactivation, const T* bias, T* state) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_lanes<Tanh, T> : elman_lanes<Relu, T>;
  run(size, preactivation, bias, state);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
