#if defined(EVENKEEL_KERNELS_SINGLE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_SINGLE_INL_H_
#undef EVENKEEL_KERNELS_SINGLE_INL_H_
#else
#define EVENKEEL_KERNELS_SINGLE_INL_H_
#endif

#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A row times packed panels. One row has few sums, each of which would wait for its own last multiply-add: a sum is several chains, of
// every so many-th k each, enough of them that V vectors of columns hide the latency.
constexpr size_t kRowSums = 8;
constexpr size_t row_chains(size_t vectors) { return vectors >= 5 ? 1 : vectors >= 3 ? 2 : vectors == 2 ? 4 : 8; }
static_assert(row_chains(2) * 2 <= kRowSums && row_chains(4) * 4 <= kRowSums);

template <typename T>
size_t row_lanes() {
  return hn::Lanes(hn::ScalableTag<T>());
}

// Columns of P panels of V vectors, and how they meet memory.
template <size_t P, size_t V, typename T, class Last>
struct RowColumns {
  static constexpr size_t kVectors = P * V;
  using D = hn::ScalableTag<T>;
  const T* b;  // the first panel [k, V vectors]
  size_t ldb;  // from panel to panel
  Last last;

  // f(column, vector number, memory) for each vector
  template <class F>
  HWY_INLINE void each(F&& f) const {
    unrolled<kVectors - 1>([&](size_t v) HWY_ATTR { f(v * hn::Lanes(D()), v, WholeVector()); });
    f((kVectors - 1) * hn::Lanes(D()), kVectors - 1, last);
  }
};

// finish(column, sum, memory) for each vector of start + a b; start: null for zeros
template <size_t P, size_t V, typename T, class Last, class Finish>
HWY_INLINE void multiply_row_columns(size_t k, const T* a, const T* start, const RowColumns<P, V, T, Last>& columns, Finish&& finish) {
  const hn::ScalableTag<T> d;
  constexpr size_t kVectors = P * V;
  constexpr size_t kChains = row_chains(kVectors);
  const size_t lanes = hn::Lanes(d);
  hn::Vec<decltype(d)> sum[kChains][kVectors];
  unrolled<kChains * kVectors>([&](size_t i) HWY_ATTR { sum[i / kVectors][i % kVectors] = hn::Zero(d); });
  if (start != nullptr) {
    columns.each([&](size_t column, size_t v, auto memory) HWY_ATTR { sum[0][v] = memory.load(d, start + column); });
  }
  const T* b = columns.b;
  const size_t ldb = columns.ldb;
  size_t i = 0;
  for (; i + kChains <= k; i += kChains, b += kChains * V * lanes) {
    unrolled<kChains>([&](size_t chain) HWY_ATTR {
      const auto factor = hn::Set(d, a[i + chain]);
      unrolled<kVectors>([&](size_t v) HWY_ATTR {
        sum[chain][v] = hn::MulAdd(factor, hn::Load(d, b + v / V * ldb + (chain * V + v % V) * lanes), sum[chain][v]);
      });
    });
  }
  if constexpr (kChains > 1) {
    for (size_t left = k - i; left > 0; --left, ++i, b += V * lanes) {
      const auto factor = hn::Set(d, a[i]);
      // Into one chain, the last, for the rest: an index that the compiler does not know would put all chains into memory.
      unrolled<kVectors>([&](size_t v) HWY_ATTR {
        sum[kChains - 1][v] = hn::MulAdd(factor, hn::Load(d, b + v / V * ldb + v % V * lanes), sum[kChains - 1][v]);
      });
    }
  }
  columns.each([&](size_t column, size_t v, auto memory) HWY_ATTR {
    for (size_t half = kChains / 2; half > 0; half /= 2) {
      for (size_t chain = 0; chain < half; ++chain) sum[chain][v] = hn::Add(sum[chain][v], sum[chain + half][v]);
    }
    finish(column, sum[0][v], memory);
  });
}

// body(column, columns) for all columns of packed panels [k, cols]: two panels at once where there are.
template <typename T, class Body>
HWY_INLINE void for_each_row_columns(size_t k, size_t cols, const T* panels, Body&& body) {
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  const size_t panel = kTileVectors * lanes;
  size_t col = 0;
  // A panel of one vector more, at the end, stays whole.
  while (cols - col > 2 * panel - lanes && (cols - col <= 2 * panel || cols - col > 2 * panel + lanes)) {
    const T* b = panels + col * k;
    if (cols - col >= 2 * panel) {
      body(col, RowColumns<2, kTileVectors, T, WholeVector>{b, panel * k, {}});
      col += 2 * panel;
      if (col == cols) return;
    } else {
      body(col, RowColumns<2, kTileVectors, T, PartOfVector>{b, panel * k, {cols - col - 2 * panel + lanes}});
      return;
    }
  }
  for_each_panel<T>(col, cols, [&](size_t first, auto vectors, auto last) HWY_ATTR {
    body(first, RowColumns<1, vectors(), T, decltype(last)>{panels + first * k, 0, last});
  });
}

// Where a row is stored for the products to come, with whole vectors: what is read one by one soon after must not have been stored in
// parts.
template <typename T, class V>
HWY_INLINE void store_whole(V vector, T* to) {
  hn::Store(vector, hn::ScalableTag<T>(), to);
}

template <typename T>
void multiply_row(size_t cols, const T* a, const PackedPanels<T>& b, const T* start, T* c) {
  const hn::ScalableTag<T> d;
  for_each_row_columns(b.k, cols, b.panels, [&](size_t col, auto columns) HWY_ATTR {
    multiply_row_columns(b.k, a, start == nullptr ? nullptr : start + col, columns,
                         [&](size_t i, auto sum, auto memory) HWY_ATTR { memory.store(d, sum, c + col + i); });
  });
}

// One tile's columns of the Elman cell's step, forward and backward.
template <class Phi, typename T, class Columns>
HWY_INLINE void elman_forward_columns(size_t k, size_t col, const Columns& columns, const ElmanForwardRow<T>& row) {
  const hn::ScalableTag<T> d;
  multiply_row_columns(k, row.operand, row.start + col, columns, [&](size_t i, auto sum, auto memory) HWY_ATTR {
    const auto state = Phi::apply(d, sum);
    store_whole<T>(state, row.next + col + i);
    memory.store(d, state, row.state + col + i);
  });
}

template <class Phi, typename T, class Columns>
HWY_INLINE void elman_backward_columns(size_t k, size_t col, const Columns& columns, const ElmanBackwardRow<T>& row) {
  const hn::ScalableTag<T> d;
  const T* start = row.start == nullptr ? nullptr : row.start + col;
  multiply_row_columns(k, row.operand, start, columns, [&](size_t i, auto sum, auto memory) HWY_ATTR {
    const auto dstate = hn::Add(sum, memory.load(d, row.doutput + col + i));
    const auto da = Phi::times_derivative(d, dstate, memory.load(d, row.state + col + i));
    store_whole<T>(da, row.next + col + i);
    memory.store(d, da, row.dpreactivation + col + i);
  });
}

template <class Phi, typename T>
void elman_forward_rows_as(size_t steps, size_t cols, size_t stride, const PackedPanels<T>& b, ElmanForwardRow<T> row) {
  for (size_t step = 0; step < steps; ++step) {
    for_each_row_columns(b.k, cols, b.panels,
                         [&](size_t col, auto columns) HWY_ATTR { elman_forward_columns<Phi>(b.k, col, columns, row); });
    row = {row.next, row.start + stride, row.operand, row.state + stride};
  }
}

template <class Phi, typename T>
void elman_backward_rows_as(size_t steps, size_t cols, size_t stride, const PackedPanels<T>& b, ElmanBackwardRow<T> row) {
  for (size_t step = 0; step < steps; ++step) {
    for_each_row_columns(b.k, cols, b.panels,
                         [&](size_t col, auto columns) HWY_ATTR { elman_backward_columns<Phi>(b.k, col, columns, row); });
    row = {row.next, nullptr, row.doutput - stride, row.state - stride, row.operand, row.dpreactivation - stride};
  }
}

template <typename T>
void elman_forward_steps(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const PackedPanels<T>& b,
                         const ElmanForwardRow<T>& row) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_forward_rows_as<Tanh, T> : elman_forward_rows_as<Relu, T>;
  run(steps, cols, stride, b, row);
}

template <typename T>
void elman_backward_steps(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const PackedPanels<T>& b,
                          const ElmanBackwardRow<T>& row) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_backward_rows_as<Tanh, T> : elman_backward_rows_as<Relu, T>;
  run(steps, cols, stride, b, row);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
