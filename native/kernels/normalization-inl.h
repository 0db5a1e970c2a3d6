#if defined(EVENKEEL_KERNELS_NORMALIZATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#undef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#else
#define EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#endif

#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A row's moments. The mean is carried as two numbers, mean + residual: at an offset of 1e6 a float's last bit is 0.06, and the residual
// is what keeps that error out of the centred values.
template <typename T>
struct RowMoments {
  T mean, residual, rstd;
};

// μ = mean(a), r = 1/√(var(a) + ε): a first pass for a rounded mean m, a second for the moments of a − m, which are exact where a is near
// m: residual = mean(a − m), var = mean((a − m)²) − residual² (the corrected two-pass algorithm of Chan, Golub, LeVeque 1983).
template <typename T>
HWY_INLINE RowMoments<T> row_moments(size_t size, T eps, const T* row) {
  const hn::ScalableTag<T> d;
  auto total = hn::Zero(d);
  for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR { total = hn::Add(total, memory.load(d, row + i)); });
  const T count = static_cast<T>(size);
  const T mean = lane_sum(d, total) / count;

  auto first = hn::Zero(d);
  auto second = hn::Zero(d);
  for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
    const auto centred = hn::IfThenElseZero(valid_lanes(d, memory), hn::Sub(memory.load(d, row + i), hn::Set(d, mean)));
    first = hn::Add(first, centred);
    second = hn::MulAdd(centred, centred, second);
  });
  const T residual = lane_sum(d, first) / count;
  T variance = lane_sum(d, second) / count - residual * residual;
  // Rounding may take a constant row below zero; NaN must pass.
  if (variance < 0) variance = 0;
  return {mean, residual, T{1} / std::sqrt(variance + eps)};
}

template <class D, class Memory, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> normalized(D d, Memory memory, const RowMoments<T>& row, const T* input) {
  const auto centred = hn::Sub(hn::Sub(memory.load(d, input), hn::Set(d, row.mean)), hn::Set(d, row.residual));
  return hn::Mul(centred, hn::Set(d, row.rstd));
}

// y = γ ⊙ â + β
template <typename T>
void layer_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output, T* mean, T* residual,
                        T* rstd) {
  const hn::ScalableTag<T> d;
  for (size_t r = 0; r < rows; ++r, input += size, output += size) {
    const RowMoments<T> row = row_moments(size, eps, input);
    mean[r] = row.mean;
    residual[r] = row.residual;
    rstd[r] = row.rstd;
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      auto y = normalized(d, memory, row, input + i);
      if (weight != nullptr) y = hn::Mul(y, memory.load(d, weight + i));
      if (bias != nullptr) y = hn::Add(y, memory.load(d, bias + i));
      memory.store(d, y, output + i);
    });
  }
}

// g = dy ⊙ γ; da = r (g − mean(g) − â mean(g ⊙ â)); dγ += Σ dy ⊙ â; dβ += Σ dy
template <typename T>
void layer_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const T* mean, const T* residual, const T* rstd,
                         const T* doutput, T* dinput, T* dweight, T* dbias) {
  const hn::ScalableTag<T> d;
  const T reciprocal = T{1} / static_cast<T>(size);
  for (size_t r = 0; r < rows; ++r, input += size, doutput += size, dinput += size) {
    const RowMoments<T> row{mean[r], residual[r], rstd[r]};
    auto sum_g = hn::Zero(d);
    auto sum_ga = hn::Zero(d);
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto a = normalized(d, memory, row, input + i);
      const auto dy = memory.load(d, doutput + i);
      const auto g = weight == nullptr ? dy : hn::Mul(dy, memory.load(d, weight + i));
      sum_g = hn::Add(sum_g, g);
      // dy, and so g, is zero in missing lanes
      sum_ga = hn::MulAdd(g, a, sum_ga);
      if (dweight != nullptr) {
        memory.store(d, hn::MulAdd(dy, a, memory.load(d, dweight + i)), dweight + i);
        memory.store(d, hn::Add(dy, memory.load(d, dbias + i)), dbias + i);
      }
    });
    const auto mean_g = hn::Set(d, lane_sum(d, sum_g) * reciprocal);
    const auto mean_ga = hn::Set(d, lane_sum(d, sum_ga) * reciprocal);
    const auto scale = hn::Set(d, row.rstd);
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto a = normalized(d, memory, row, input + i);
      const auto dy = memory.load(d, doutput + i);
      const auto g = weight == nullptr ? dy : hn::Mul(dy, memory.load(d, weight + i));
      memory.store(d, hn::Mul(scale, hn::NegMulAdd(a, mean_ga, hn::Sub(g, mean_g))), dinput + i);
    });
  }
}

// r = 1/√(mean(a²) + ε), â = a r, y = γ ⊙ â
template <typename T>
void rms_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, T* output, T* rstd) {
  const hn::ScalableTag<T> d;
  for (size_t r = 0; r < rows; ++r, input += size, output += size) {
    auto squares = hn::Zero(d);
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto a = memory.load(d, input + i);
      squares = hn::MulAdd(a, a, squares);
    });
    rstd[r] = T{1} / std::sqrt(lane_sum(d, squares) / static_cast<T>(size) + eps);
    const auto scale = hn::Set(d, rstd[r]);
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      memory.store(d, hn::Mul(hn::Mul(memory.load(d, input + i), scale), memory.load(d, weight + i)), output + i);
    });
  }
}

// g = dy ⊙ γ; da = r (g − â mean(g ⊙ â)); dγ += Σ dy ⊙ â
template <typename T>
void rms_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const T* rstd, const T* doutput, T* dinput, T* dweight) {
  const hn::ScalableTag<T> d;
  for (size_t r = 0; r < rows; ++r, input += size, doutput += size, dinput += size) {
    const auto scale = hn::Set(d, rstd[r]);
    auto sum_ga = hn::Zero(d);
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto a = hn::Mul(memory.load(d, input + i), scale);
      const auto dy = memory.load(d, doutput + i);
      sum_ga = hn::MulAdd(hn::Mul(dy, memory.load(d, weight + i)), a, sum_ga);
      memory.store(d, hn::MulAdd(dy, a, memory.load(d, dweight + i)), dweight + i);
    });
    const auto mean_ga = hn::Set(d, lane_sum(d, sum_ga) / static_cast<T>(size));
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto a = hn::Mul(memory.load(d, input + i), scale);
      const auto g = hn::Mul(memory.load(d, doutput + i), memory.load(d, weight + i));
      memory.store(d, hn::Mul(scale, hn::NegMulAdd(a, mean_ga, g)), dinput + i);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
