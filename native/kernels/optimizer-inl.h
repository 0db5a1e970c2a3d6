#if defined(EVENKEEL_KERNELS_OPTIMIZER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#undef EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#else
#define EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#endif

#include <limits>

#include "kernels/kernels.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A double hyperparameter in every lane, rounded once.
template <class D>
HWY_INLINE hn::Vec<D> all_lanes(D d, double value) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}

// ε as the least that T's vectors do not flush: a root of a normal number does not see it, and 0 / (0 + ε) is 0.
template <class D>
HWY_INLINE hn::Vec<D> eps_lanes(D d, double eps) {
  using T = hn::TFromD<D>;
  return all_lanes(d, HWY_MAX(eps, static_cast<double>(std::numeric_limits<T>::min())));
}

// What turns a gradient's sign over where the objective is to grow.
template <class D>
HWY_INLINE hn::Vec<D> sign_of(D d, bool maximize) {
  return maximize ? hn::Set(d, static_cast<hn::TFromD<D>>(-0.0)) : hn::Zero(d);
}

// a + w (g − a), from w = 1/2 on as g + (w − 1)(g − a), in which a large a does not wipe out g: PyTorch's lerp.
template <typename T>
class MovingAverage {
  using D = hn::ScalableTag<T>;

 public:
  HWY_ATTR HWY_INLINE explicit MovingAverage(double weight)
      : from_next_(static_cast<T>(weight) >= T{0.5}), factor_(hn::Set(D(), static_cast<T>(weight) - (from_next_ ? T{1} : T{0}))) {}

  HWY_INLINE hn::Vec<D> operator()(hn::Vec<D> average, hn::Vec<D> next) const {
    return hn::MulAdd(factor_, hn::Sub(next, average), from_next_ ? next : average);
  }

 private:
  bool from_next_;
  hn::Vec<D> factor_;
};

// g ← g + λ θ, of the gradient times −1 to maximise;  b ← μ b + (1 − δ) g (b ← g at the first step);  θ ← θ − η (nesterov: g + μ b,
// momentum: b, plain: g)
template <typename T>
void sgd_step(size_t count, const SgdStep& step, T* value, const T* grad, T* momentum_buffer) {
  const hn::ScalableTag<T> d;
  const auto rate = all_lanes(d, step.learning_rate);
  const auto momentum = all_lanes(d, step.momentum);
  const auto decay = all_lanes(d, step.weight_decay);
  const auto taken = all_lanes(d, 1.0 - step.dampening);
  const auto sign = sign_of(d, step.maximize);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = memory.load(d, value + i);
    auto g = hn::MulAdd(decay, theta, hn::Xor(sign, memory.load(d, grad + i)));
    if (momentum_buffer != nullptr) {
      const auto b = step.first_step ? g : hn::MulAdd(momentum, memory.load(d, momentum_buffer + i), hn::Mul(taken, g));
      memory.store(d, b, momentum_buffer + i);
      g = step.nesterov ? hn::MulAdd(momentum, b, g) : b;
    }
    memory.store(d, hn::NegMulAdd(rate, g, theta), value + i);
  });
}

// m ← m + (1 − β₁)(g − m);  v ← β₂ v + (1 − β₂) g²;  θ ← θ − η/c₁ · m / (√v/√c₂ + ε), c the bias corrections 1 − β^t. With AMSGrad √ is
// of the largest v so far.
// Weight decay: Adam adds λ θ to g, AdamW (decoupled) shrinks θ by η λ first.
template <typename T>
void adam_step(size_t count, const AdamStep& step, T* value, const T* grad, T* first_moment, T* second_moment, T* largest_second_moment) {
  const hn::ScalableTag<T> d;
  const auto decay = all_lanes(d, step.decoupled ? 0.0 : step.weight_decay);
  const auto shrink = all_lanes(d, step.decoupled ? 1.0 - step.learning_rate * step.weight_decay : 1.0);
  const MovingAverage<T> averaged(1.0 - step.beta1);
  const auto beta2 = all_lanes(d, step.beta2);
  const auto one_minus_beta2 = all_lanes(d, 1.0 - step.beta2);
  const auto root_correction2 = all_lanes(d, std::sqrt(step.bias_correction2));
  const auto rate = all_lanes(d, step.learning_rate / step.bias_correction1);
  const auto eps = eps_lanes(d, step.eps);
  const auto sign = sign_of(d, step.maximize);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = hn::Mul(shrink, memory.load(d, value + i));
    const auto g = hn::MulAdd(decay, theta, hn::Xor(sign, memory.load(d, grad + i)));
    const auto m = averaged(memory.load(d, first_moment + i), g);
    const auto v = hn::MulAdd(hn::Mul(one_minus_beta2, g), g, hn::Mul(beta2, memory.load(d, second_moment + i)));
    auto scale = v;
    if (largest_second_moment != nullptr) {
      scale = larger(d, v, memory.load(d, largest_second_moment + i));
      memory.store(d, scale, largest_second_moment + i);
    }
    const auto denominator = hn::Add(hn::Div(hn::Sqrt(scale), root_correction2), eps);
    memory.store(d, m, first_moment + i);
    memory.store(d, v, second_moment + i);
    memory.store(d, hn::NegMulAdd(rate, hn::Div(m, denominator), theta), value + i);
  });
}

// g ← g + λ θ;  v ← α v + (1 − α) g²;  u = g / (√v + ε), centred √(v − a²) with a ← α a + (1 − α) g;  b ← μ b + u;  θ ← θ − η (b, or u
// without momentum)
template <typename T>
void rmsprop_step(size_t count, const RmspropStep& step, T* value, const T* grad, T* square_average, T* momentum_buffer, T* grad_average) {
  const hn::ScalableTag<T> d;
  const auto rate = all_lanes(d, step.learning_rate);
  const auto alpha = all_lanes(d, step.alpha);
  const auto one_minus_alpha = all_lanes(d, 1.0 - step.alpha);
  const auto eps = eps_lanes(d, step.eps);
  const auto decay = all_lanes(d, step.weight_decay);
  const auto momentum = all_lanes(d, step.momentum);
  const MovingAverage<T> averaged(1.0 - step.alpha);
  const auto sign = sign_of(d, step.maximize);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = memory.load(d, value + i);
    const auto g = hn::MulAdd(decay, theta, hn::Xor(sign, memory.load(d, grad + i)));
    const auto v = hn::MulAdd(hn::Mul(one_minus_alpha, g), g, hn::Mul(alpha, memory.load(d, square_average + i)));
    memory.store(d, v, square_average + i);
    auto variance = v;
    if (grad_average != nullptr) {
      const auto a = averaged(memory.load(d, grad_average + i), g);
      memory.store(d, a, grad_average + i);
      // Rounding may take it below zero; NaN must pass.
      variance = hn::NegMulAdd(a, a, v);
      variance = hn::IfThenZeroElse(hn::Lt(variance, hn::Zero(d)), variance);
    }
    auto update = hn::Div(g, hn::Add(hn::Sqrt(variance), eps));
    if (momentum_buffer != nullptr) {
      update = hn::MulAdd(momentum, memory.load(d, momentum_buffer + i), update);
      memory.store(d, update, momentum_buffer + i);
    }
    memory.store(d, hn::NegMulAdd(rate, update, theta), value + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
