#if defined(EVENKEEL_KERNELS_SINGLE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_SINGLE_INL_H_
#undef EVENKEEL_KERNELS_SINGLE_INL_H_
#else
#define EVENKEEL_KERNELS_SINGLE_INL_H_
#endif

#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/tile-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A row times a matrix. To have each element of the row in every lane would take a load for every two multiply-adds; instead a group of
// elements, as many as a 128-bit block holds, is repeated in every block of a vector, and a vector of the matrix has a column of so many
// rows in each of its blocks. A sum per element of a block is left at the end, and added up for all columns by interleaving.
template <typename T>
constexpr size_t kGroup = HWY_TARGET == HWY_SCALAR ? 1 : 16 / sizeof(T);
// As many vectors of columns as have this many sums: enough for independent ones to hide the latency of a multiply-add.
constexpr size_t kRowSums = 8;
template <typename T>
constexpr size_t kRowVectors = kRowSums / kGroup<T>;

template <typename T>
size_t row_lanes() {
  return hn::Lanes(hn::ScalableTag<T>());
}

// body(column, v, last) for tiles of v vectors of a row's columns, from the first on or from the last
template <typename T, class Body>
HWY_INLINE void for_each_row_tile(size_t cols, bool from_last, Body&& body) {
  const size_t lanes = row_lanes<T>();
  const size_t tile = kRowVectors<T> * lanes;
  const size_t tiles = hwy::DivCeil(cols, tile);
  for (size_t i = 0; i < tiles; ++i) {
    const size_t col = (from_last ? tiles - 1 - i : i) * tile;
    const size_t left = hwy::DivCeil(cols - col, lanes);
    with_constant<kRowVectors<T>>(HWY_MIN(left, kRowVectors<T>), [&](auto vectors) HWY_ATTR {
      const size_t in_last = cols - col - (vectors() - 1) * lanes;
      if (in_last >= lanes) {
        body(col, vectors, WholeVector());
      } else {
        body(col, vectors, PartOfVector{in_last});
      }
    });
  }
}

// The elements of one group of rows and one vector of columns, of which all are there: to a vector for each column of a block.
template <typename T>
HWY_INLINE void pack_whole_group(const T* b, size_t k_stride, size_t col_stride, T* packed) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, kGroup<T>> block;
  hn::Vec<decltype(d)> columns[kGroup<T>];
  if (k_stride == 1) {
    const auto column = [=](size_t col) HWY_ATTR { return hn::LoadU(block, b + col * col_stride); };
    unrolled<kGroup<T>>([&](size_t i) HWY_ATTR { columns[i] = gather_blocks(d, i, column); });
  } else {
    unrolled<kGroup<T>>([&](size_t row) HWY_ATTR { columns[row] = hn::LoadU(d, b + row * k_stride); });
    transpose_blocks(d, columns);
  }
  unrolled<kGroup<T>>([&](size_t i) HWY_ATTR { hn::Store(columns[i], d, packed + i * hn::Lanes(d)); });
}

// The same, zeros where there is none. rows, cols: how many there are
template <typename T>
void pack_part_of_group(size_t rows, size_t cols, const T* b, size_t k_stride, size_t col_stride, T* packed) {
  constexpr size_t kRows = kGroup<T>;
  const size_t lanes = row_lanes<T>();
  for (size_t i = 0; i < kRows * lanes; ++i) {
    const size_t row = i % kRows;
    const size_t col = i % lanes / kRows * kRows + i / lanes;
    packed[i] = row < rows && col < cols ? b[row * k_stride + col * col_stride] : T{0};
  }
}

// Packed: tile by tile, in each group by group of k, in each vector by vector of columns, and of these the i-th vector has the i-th column
// of every block.
template <typename T>
void pack_row_matrix(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride, T* packed) {
  constexpr size_t kRows = kGroup<T>;
  const size_t lanes = row_lanes<T>();
  for_each_row_tile<T>(cols, false, [&](size_t first, auto vectors, auto /*last*/) HWY_ATTR {
    for (size_t group = 0; group < k; group += kRows) {
      for (size_t col = first; col < first + vectors() * lanes; col += lanes, packed += kRows * lanes) {
        const T* from = b + group * k_stride + col * col_stride;
        if (group + kRows <= k && col + lanes <= cols) {
          pack_whole_group(from, k_stride, col_stride, packed);
        } else {
          pack_part_of_group(k - group, cols - col, from, k_stride, col_stride, packed);
        }
      }
    }
  });
}

template <class D, typename T>
HWY_INLINE hn::Vec<D> repeat_group(D d, const T* from) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Load(d, from);
#else
  return hn::LoadDup128(d, from);
#endif
}

// The sums of a vector's columns from the kGroup vectors that hold their parts.
template <class D>
HWY_INLINE hn::Vec<D> add_groups(D d, const hn::Vec<D>* parts) {
#if HWY_TARGET == HWY_SCALAR
  return parts[0];
#else
  const auto two = [d](hn::Vec<D> a, hn::Vec<D> b) HWY_ATTR { return hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)); };
  if constexpr (kGroup<hn::TFromD<D>> == 2) {
    return two(parts[0], parts[1]);
  } else {
    const hn::RepartitionToWide<D> pairs;
    const auto low = hn::BitCast(pairs, two(parts[0], parts[1]));
    const auto high = hn::BitCast(pairs, two(parts[2], parts[3]));
    return hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, low, high)), hn::BitCast(d, hn::InterleaveUpper(pairs, low, high)));
  }
#endif
}

// take(v, total) for each of V vectors of a b
template <size_t V, typename T, class Take>
HWY_INLINE void sum_row_tile(size_t k, const T* a, const T* b, Take&& take) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  constexpr size_t kRows = kGroup<T>;
  hn::Vec<decltype(d)> sum[V * kRows];
  unrolled<V * kRows>([&](size_t i) HWY_ATTR { sum[i] = hn::Zero(d); });
  for (size_t group = 0; group < k; group += kRows, b += V * kRows * lanes) {
    const auto factor = repeat_group(d, a + group);
    unrolled<V * kRows>([&](size_t i) HWY_ATTR { sum[i] = hn::MulAdd(factor, hn::Load(d, b + i * lanes), sum[i]); });
  }
  unrolled<V>([&](size_t v) HWY_ATTR { take(v, add_groups(d, sum + v * kRows)); });
}

// finish(column, sum, memory) for each of V vectors of start + a b; start: null for zeros
template <size_t V, typename T, class Last, class Finish>
HWY_INLINE void multiply_row_tile(size_t k, const T* a, const T* b, const T* start, Last last, Finish&& finish) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const auto end = [&](size_t v, auto total, auto memory) HWY_ATTR {
    if (start != nullptr) total = hn::Add(total, memory.load(d, start + v * lanes));
    finish(v * lanes, total, memory);
  };
  hn::Vec<decltype(d)> total[V];
  sum_row_tile<V>(k, a, b, [&](size_t v, auto sum) HWY_ATTR { total[v] = sum; });
  unrolled<V - 1>([&](size_t v) HWY_ATTR { end(v, total[v], WholeVector()); });
  end(V - 1, total[V - 1], last);
}

template <typename T>
HWY_INLINE void multiply_packed_row(size_t cols, const T* a, size_t k, const T* packed, bool from_last, const T* start, T* c) {
  const hn::ScalableTag<T> d;
  const size_t depth = hwy::RoundUpTo(k, kGroup<T>);
  for_each_row_tile<T>(cols, from_last, [&](size_t col, auto vectors, auto last) HWY_ATTR {
    multiply_row_tile<vectors()>(k, a, packed + col * depth, start == nullptr ? nullptr : start + col, last,
                                 [&](size_t i, auto sum, auto memory) HWY_ATTR { memory.store(d, sum, c + col + i); });
  });
}

template <typename T>
void multiply_row(size_t cols, const T* a, const RowMatrix<T>& b, const T* start, T* c) {
  multiply_packed_row(cols, a, b.k, b.packed, b.from_last, start, c);
}

template <typename T>
void multiply_row_by_each(size_t cols, const T* a, const RowMatrices<T>& b, const T* start, T* c, size_t ld) {
  const size_t gates = b.count, stride = b.stride, k = b.k;
  const bool from_last = b.from_last;
  const T* packed = b.packed;
  for (size_t gate = 0; gate < gates; ++gate, packed += stride, c += ld) {
    multiply_packed_row(cols, a, k, packed, from_last, start, c);
    if (start != nullptr) start += ld;
  }
}

template <size_t V, typename T, class Last>
HWY_INLINE void multiply_row_by_sum_tile(const T* a, size_t lda, const RowMatrices<T>& b, size_t offset, const T* start, Last last, T* c) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const T* packed = b.packed + offset;
  hn::Vec<decltype(d)> total[V];
  sum_row_tile<V>(b.k, a, packed, [&](size_t v, auto sum) HWY_ATTR { total[v] = sum; });
  for (size_t gate = 1; gate < b.count; ++gate) {
    sum_row_tile<V>(b.k, a + gate * lda, packed + gate * b.stride, [&](size_t v, auto sum) HWY_ATTR { total[v] = hn::Add(sum, total[v]); });
  }
  // Last, as if it were added when the product is done.
  if (start != nullptr) {
    unrolled<V - 1>([&](size_t v) HWY_ATTR { total[v] = hn::Add(total[v], hn::LoadU(d, start + v * lanes)); });
    total[V - 1] = hn::Add(total[V - 1], last.load(d, start + (V - 1) * lanes));
  }
  unrolled<V - 1>([&](size_t v) HWY_ATTR { hn::StoreU(total[v], d, c + v * lanes); });
  last.store(d, total[V - 1], c + (V - 1) * lanes);
}

template <typename T>
void multiply_row_by_sum(size_t cols, const T* a, size_t lda, const RowMatrices<T>& b, const T* start, T* c) {
  const size_t depth = hwy::RoundUpTo(b.k, kGroup<T>);
  for_each_row_tile<T>(cols, b.from_last, [&](size_t col, auto vectors, auto last) HWY_ATTR {
    multiply_row_by_sum_tile<vectors()>(a, lda, b, col * depth, start == nullptr ? nullptr : start + col, last, c + col);
  });
}

// One tile's columns of the Elman cell's step, forward and backward.
template <class Phi, size_t V, typename T, class Last>
HWY_INLINE void elman_forward_tile(size_t k, const T* b, size_t col, Last last, const ElmanForwardRow<T>& row) {
  const hn::ScalableTag<T> d;
  multiply_row_tile<V>(k, row.operand, b, row.start + col, last, [&](size_t i, auto sum, auto memory) HWY_ATTR {
    const auto state = Phi::apply(d, sum);
    hn::Store(state, d, row.next + col + i);
    memory.store(d, state, row.state + col + i);
  });
}

template <class Phi, size_t V, typename T, class Last>
HWY_INLINE void elman_backward_tile(size_t k, const T* b, size_t col, Last last, const ElmanBackwardRow<T>& row) {
  const hn::ScalableTag<T> d;
  const T* start = row.start == nullptr ? nullptr : row.start + col;
  multiply_row_tile<V>(k, row.operand, b, start, last, [&](size_t i, auto sum, auto memory) HWY_ATTR {
    const auto dstate = row.doutput == nullptr ? sum : hn::Add(sum, memory.load(d, row.doutput + col + i));
    const auto da = Phi::times_derivative(d, dstate, memory.load(d, row.state + col + i));
    hn::Store(da, d, row.next + col + i);
    memory.store(d, da, row.dpreactivation + col + i);
  });
}

// One step. A function of its own, which reads members one by one where it needs them: it has registers enough for its addresses. GCC would
// keep some in vector registers, or copy a description whole, as wide as it has just not been written; in either case a step would begin
// when all multiply-adds of the one before are done.
template <class Phi, typename T>
HWY_NOINLINE void elman_forward_row(size_t cols, bool from_last, const RowMatrix<T>& b, const ElmanForwardRow<T>& row) {
  const size_t depth = hwy::RoundUpTo(b.k, kGroup<T>);
  for_each_row_tile<T>(cols, from_last, [&](size_t col, auto vectors, auto last) HWY_ATTR {
    elman_forward_tile<Phi, vectors()>(b.k, b.packed + col * depth, col, last, row);
  });
}

template <class Phi, typename T>
HWY_NOINLINE void elman_backward_row(size_t cols, bool from_last, const RowMatrix<T>& b, const ElmanBackwardRow<T>& row) {
  const size_t depth = hwy::RoundUpTo(b.k, kGroup<T>);
  for_each_row_tile<T>(cols, from_last, [&](size_t col, auto vectors, auto last) HWY_ATTR {
    elman_backward_tile<Phi, vectors()>(b.k, b.packed + col * depth, col, last, row);
  });
}

template <class Phi, typename T>
void elman_forward_rows_as(size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b, const ElmanForwardRow<T>& first) {
  if (steps == 1) return elman_forward_row<Phi>(cols, b.from_last, b, first);
  ElmanForwardRow<T> row = first;
  for (size_t step = 0; step < steps; ++step) {
    elman_forward_row<Phi>(cols, b.from_last != (step % 2 == 1), b, row);
    row = {row.next, row.start + stride, row.operand, row.state + stride};
  }
}

template <class Phi, typename T>
void elman_backward_rows_as(size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b, const ElmanBackwardRow<T>& first) {
  const auto before = [&](const T* doutput) { return doutput == nullptr ? nullptr : doutput - stride; };
  if (steps == 1) return elman_backward_row<Phi>(cols, b.from_last, b, first);
  ElmanBackwardRow<T> row = first;
  for (size_t step = 0; step < steps; ++step) {
    elman_backward_row<Phi>(cols, b.from_last != (step % 2 == 1), b, row);
    row = {row.next, nullptr, before(row.doutput), row.state - stride, row.operand, row.dpreactivation - stride};
  }
}

template <typename T>
void elman_forward_steps(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b,
                         const ElmanForwardRow<T>& row) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_forward_rows_as<Tanh, T> : elman_forward_rows_as<Relu, T>;
  run(steps, cols, stride, b, row);
}

template <typename T>
void elman_backward_steps(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b,
                          const ElmanBackwardRow<T>& row) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_backward_rows_as<Tanh, T> : elman_backward_rows_as<Relu, T>;
  run(steps, cols, stride, b, row);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
