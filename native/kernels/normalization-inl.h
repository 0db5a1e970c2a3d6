#if defined(EVENKEEL_KERNELS_NORMALIZATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#undef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#else
#define EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#endif

#include "kernels/kernels.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Rows go through each stage in groups: what a stage computes of a row (a sum over lanes, a root) takes long to come, and the other rows'
// work fills that time; and a group that lies in the first cache is read from memory once. A row's result does not depend on its group.
constexpr size_t kGroupRows = 16;
constexpr size_t kForwardGroup = 1024;  // elements
constexpr size_t kBackwardGroup = 2048;

inline size_t group_rows(size_t elements, size_t size) { return HWY_MAX(size_t{1}, HWY_MIN(kGroupRows, elements / size)); }

// first, second = Σ over a row of what body(i, memory, first, second) adds to two vectors. Four of each hide the latency of additions.
template <class D, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void sum_row(D d, size_t size, T& first, T& second, Body&& body) {
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
  first = lane_sum(d, a0);
  second = lane_sum(d, b0);
}

// μ = mean(a), r = 1/√(var(a) + ε): a first pass for a rounded mean m, a second for the moments of a − m, which are exact where a is near
// m: residual = mean(a − m), var = mean((a − m)²) − residual² (the corrected two-pass algorithm of Chan, Golub, LeVeque 1983).
// Not centred, for RMSNorm: r = 1/√(mean(a²) + ε).
template <bool kCentred, typename T>
HWY_INLINE void group_statistics(size_t begin, size_t end, size_t size, T eps, const T* input, const RowStatistics<T>& all) {
  const hn::ScalableTag<T> d;
  const auto count = hn::Set(d, static_cast<T>(size));
  T first[kGroupRows];
  T second[kGroupRows];
  if constexpr (kCentred) {
    for (size_t r = begin; r < end; ++r) {
      sum_row(d, size, first[r - begin], second[r - begin],
              [&](size_t i, auto memory, auto& sum, auto&) HWY_ATTR { sum = hn::Add(sum, memory.load(d, input + r * size + i)); });
    }
    for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
      memory.store(d, hn::Div(memory.load(d, first + r), count), all.mean + begin + r);
    });
  }
  for (size_t r = begin; r < end; ++r) {
    const auto mean = kCentred ? hn::Set(d, all.mean[r]) : hn::Zero(d);
    sum_row(d, size, first[r - begin], second[r - begin], [&](size_t i, auto memory, auto& sum, auto& squares) HWY_ATTR {
      auto a = memory.load(d, input + r * size + i);
      if constexpr (kCentred) {
        a = zero_missing(d, memory, hn::Sub(a, mean));
        sum = hn::Add(sum, a);
      }
      squares = hn::MulAdd(a, a, squares);
    });
  }
  for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
    auto variance = hn::Div(memory.load(d, second + r), count);
    if constexpr (kCentred) {
      const auto residual = hn::Div(memory.load(d, first + r), count);
      memory.store(d, residual, all.residual + begin + r);
      // Rounding may take a constant row below zero; NaN must pass.
      variance = hn::NegMulAdd(residual, residual, variance);
      variance = hn::IfThenZeroElse(hn::Lt(variance, hn::Zero(d)), variance);
    }
    memory.store(d, hn::Div(hn::Set(d, 1), hn::Sqrt(hn::Add(variance, hn::Set(d, eps)))), all.rstd + begin + r);
  });
}

// â = (a − μ) r of one row, or a r when not centred
template <bool kCentred, typename T>
struct NormalizedRow {
  const T* input;
  T mean, rstd, offset;

  NormalizedRow(const T* row_input, const RowStatistics<T>& statistics, size_t r)
      : input(row_input),
        mean(kCentred ? statistics.mean[r] : 0),
        rstd(statistics.rstd[r]),
        offset(kCentred ? -statistics.residual[r] * statistics.rstd[r] : 0) {}

  template <class D, class Memory>
  HWY_INLINE hn::Vec<D> at(D d, Memory memory, size_t i) const {
    const auto a = memory.load(d, input + i);
    if constexpr (!kCentred) return hn::Mul(a, hn::Set(d, rstd));
    return hn::MulAdd(hn::Sub(a, hn::Set(d, mean)), hn::Set(d, rstd), hn::Set(d, offset));
  }
};

// for_each_vector over the columns of rows that `output` points into, whose stores go past the caches or not
template <class D, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void for_each_column(D d, size_t size, bool streams, const T* output, Body&& body) {
  if (streams && size % hn::Lanes(d) == 0) {
    for_each_vector_streamed(d, size, output, body);
  } else {
    for_each_vector(d, size, body);
  }
}

// y = γ ⊙ â + β
template <bool kCentred, typename T>
void norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output, const RowStatistics<T>& all,
                  bool streams) {
  const hn::ScalableTag<T> d;
  const size_t step = group_rows(kForwardGroup, size);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t end = HWY_MIN(rows, begin + step);
    group_statistics<kCentred>(begin, end, size, eps, input, all);
    for (size_t r = begin; r < end; ++r) {
      const NormalizedRow<kCentred, T> row(input + r * size, all, r);
      T* row_output = output + r * size;
      for_each_column(d, size, streams, row_output, [&](size_t i, auto memory) HWY_ATTR {
        auto y = row.at(d, memory, i);
        if (weight != nullptr) y = hn::Mul(y, memory.load(d, weight + i));
        if (bias != nullptr) y = hn::Add(y, memory.load(d, bias + i));
        memory.store(d, y, row_output + i);
      });
    }
  }
  if (streams) hwy::FlushStream();
}

// g = dy ⊙ γ; da = r (g − mean(g) − â mean(g ⊙ â)), without mean(g) when not centred; dγ += Σ dy ⊙ â; dβ += Σ dy.
template <bool kCentred, typename T>
void norm_backward(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& all, const T* doutput, T* dinput,
                   T* dweight, T* dbias, bool streams) {
  const hn::ScalableTag<T> d;
  T shift[kGroupRows];
  T slope[kGroupRows];
  const size_t step = group_rows(kBackwardGroup, size);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t end = HWY_MIN(rows, begin + step);
    for (size_t r = begin; r < end; ++r) {
      const NormalizedRow<kCentred, T> row(input + r * size, all, r);
      const T* row_doutput = doutput + r * size;
      T sum_g, sum_ga;
      sum_row(d, size, sum_g, sum_ga, [&](size_t i, auto memory, auto& sum, auto& product) HWY_ATTR {
        auto g = memory.load(d, row_doutput + i);
        if (weight != nullptr) g = hn::Mul(g, memory.load(d, weight + i));
        if constexpr (kCentred) sum = hn::Add(sum, g);
        product = hn::MulAdd(g, zero_missing(d, memory, row.at(d, memory, i)), product);
      });
      shift[r - begin] = -row.rstd * (sum_g / static_cast<T>(size));
      slope[r - begin] = -row.rstd * (sum_ga / static_cast<T>(size));
    }
    // Column by column, so that each element of dγ and dβ is in a register while all rows of the group add to it.
    for_each_column(d, size, streams, dinput, [&](size_t i, auto memory) HWY_ATTR {
      const auto gamma = weight == nullptr ? hn::Set(d, 1) : memory.load(d, weight + i);
      auto sum_dweight = dweight == nullptr ? hn::Zero(d) : memory.load(d, dweight + i);
      auto sum_dbias = dbias == nullptr ? hn::Zero(d) : memory.load(d, dbias + i);
      for (size_t r = begin; r < end; ++r) {
        const NormalizedRow<kCentred, T> row(input + r * size, all, r);
        const auto a = row.at(d, memory, i);
        const auto dy = memory.load(d, doutput + r * size + i);
        const auto g = hn::MulAdd(hn::Mul(dy, gamma), hn::Set(d, row.rstd), hn::Set(d, shift[r - begin]));
        memory.store(d, hn::MulAdd(a, hn::Set(d, slope[r - begin]), g), dinput + r * size + i);
        sum_dweight = hn::MulAdd(dy, a, sum_dweight);
        sum_dbias = hn::Add(dy, sum_dbias);
      }
      if (dweight != nullptr) cached(memory).store(d, sum_dweight, dweight + i);
      if (dbias != nullptr) cached(memory).store(d, sum_dbias, dbias + i);
    });
  }
  if (streams) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
