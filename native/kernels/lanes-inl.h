#if defined(EVENKEEL_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_LANES_INL_H_
#undef EVENKEEL_KERNELS_LANES_INL_H_
#else
#define EVENKEEL_KERNELS_LANES_INL_H_
#endif

#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/tile-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
size_t lane_count() {
  return hn::Lanes(hn::ScalableTag<T>());
}

// --- rows to lanes and back ------------------------------------------------------------------------------------------

template <typename T>
void to_lanes(size_t rows, size_t size, const T* from, size_t ld, T* to) {
  transpose_to_lanes(rows, size, from, ld, to, lane_count<T>());
}

template <typename T>
void from_lanes(size_t rows, size_t size, const T* from, T* to, size_t ld) {
  if (rows == lane_count<T>()) return transpose_from_lanes(AllRows(), size, from, to, ld);
  transpose_from_lanes(SomeRows{rows}, size, from, to, ld);
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
  if (start != nullptr) {
    const T* from = launder_address(start + col * lanes);
    unrolled<R>([&](size_t r) HWY_ATTR { tile.sum[r][0] = hn::Add(tile.sum[r][0], hn::Load(d, from + r * lanes)); });
  }
  T* to = launder_address(c + col * lanes);
  unrolled<R>([&](size_t r) HWY_ATTR { hn::Store(tile.sum[r][0], d, to + r * lanes); });
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
