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

// Short rows go through each stage in groups: what a stage computes of a row (a sum over lanes, a root) takes long to come, and the other
// rows' work fills that time. Long rows go one by one, lest reading the next one wait until a group is done. A row's result does not depend
// on its group.
constexpr size_t kGroupRows = 16;
constexpr size_t kForwardGroup = 1024;  // elements
constexpr size_t kBackwardGroup = 320;

inline size_t group_rows(size_t elements, size_t size) { return HWY_MAX(size_t{1}, HWY_MIN(kGroupRows, elements / size)); }

// first, second = Σ over a row of what body(i, memory, first, second) adds to two vectors
template <class D, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void sum_row(D d, size_t size, T& first, T& second, Body&& body) {
  auto a = hn::Zero(d), b = a;
  for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR { body(i, memory, a, b); });
  first = lane_sum(d, a);
  second = lane_sum(d, b);
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
        a = hn::IfThenElseZero(valid_lanes(d, memory), hn::Sub(a, mean));
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

// y = γ ⊙ â + β
template <bool kCentred, typename T>
void norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output, const RowStatistics<T>& all) {
  const hn::ScalableTag<T> d;
  const size_t step = group_rows(kForwardGroup, size);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t end = HWY_MIN(rows, begin + step);
    group_statistics<kCentred>(begin, end, size, eps, input, all);
    for (size_t r = begin; r < end; ++r) {
      const NormalizedRow<kCentred, T> row(input + r * size, all, r);
      T* row_output = output + r * size;
      for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
        auto y = row.at(d, memory, i);
        if (weight != nullptr) y = hn::Mul(y, memory.load(d, weight + i));
        if (bias != nullptr) y = hn::Add(y, memory.load(d, bias + i));
        memory.store(d, y, row_output + i);
      });
    }
  }
}

// g = dy ⊙ γ; da = r (g − mean(g) − â mean(g ⊙ â)), without mean(g) when not centred; dγ += Σ dy ⊙ â; dβ += Σ dy.
template <bool kCentred, typename T>
void norm_backward(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& all, const T* doutput, T* dinput,
                   T* dweight, T* dbias) {
  const hn::ScalableTag<T> d;
  T sum_g[kGroupRows];
  T sum_ga[kGroupRows];
  const size_t step = group_rows(kBackwardGroup, size);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t end = HWY_MIN(rows, begin + step);
    for (size_t r = begin; r < end; ++r) {
      const NormalizedRow<kCentred, T> row(input + r * size, all, r);
      const T* row_doutput = doutput + r * size;
      sum_row(d, size, sum_g[r - begin], sum_ga[r - begin], [&](size_t i, auto memory, auto& sum, auto& product) HWY_ATTR {
        const auto a = row.at(d, memory, i);
        const auto dy = memory.load(d, row_doutput + i);
        const auto g = weight == nullptr ? dy : hn::Mul(dy, memory.load(d, weight + i));
        if constexpr (kCentred) sum = hn::Add(sum, g);
        // dy, and so g, is zero in missing lanes
        product = hn::MulAdd(g, a, product);
        if (dweight != nullptr) memory.store(d, hn::MulAdd(dy, a, memory.load(d, dweight + i)), dweight + i);
        if (dbias != nullptr) memory.store(d, hn::Add(dy, memory.load(d, dbias + i)), dbias + i);
      });
    }
    for (size_t r = begin; r < end; ++r) {
      const NormalizedRow<kCentred, T> row(input + r * size, all, r);
      const T* row_doutput = doutput + r * size;
      T* row_dinput = dinput + r * size;
      const auto rstd = hn::Set(d, row.rstd);
      const auto shift = hn::Set(d, -row.rstd * (sum_g[r - begin] / static_cast<T>(size)));
      const auto slope = hn::Set(d, -row.rstd * (sum_ga[r - begin] / static_cast<T>(size)));
      for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
        auto g = memory.load(d, row_doutput + i);
        if (weight != nullptr) g = hn::Mul(g, memory.load(d, weight + i));
        memory.store(d, hn::MulAdd(row.at(d, memory, i), slope, hn::MulAdd(g, rstd, shift)), row_dinput + i);
      });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
