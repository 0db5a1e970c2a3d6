#if defined(EVENKEEL_KERNELS_OPTIMIZER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#undef EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#else
#define EVENKEEL_KERNELS_OPTIMIZER_INL_H_
#endif

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

// g ← g + λ θ;  b ← μ b + g (b ← g at the first step);  θ ← θ − η (nesterov: g + μ b, momentum: b, plain: g)
template <typename T>
void sgd_step(size_t count, const SgdStep& step, T* value, const T* grad, T* momentum_buffer) {
  const hn::ScalableTag<T> d;
  const auto rate = all_lanes(d, step.learning_rate);
  const auto momentum = all_lanes(d, step.momentum);
  const auto decay = all_lanes(d, step.weight_decay);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = memory.load(d, value + i);
    auto g = hn::MulAdd(decay, theta, memory.load(d, grad + i));
    if (momentum_buffer != nullptr) {
      const auto b = step.first_step ? g : hn::MulAdd(momentum, memory.load(d, momentum_buffer + i), g);
      memory.store(d, b, momentum_buffer + i);
      g = step.nesterov ? hn::MulAdd(momentum, b, g) : b;
    }
    memory.store(d, hn::NegMulAdd(rate, g, theta), value + i);
  });
}

// m ← m + (1 − β₁)(g − m);  v ← β₂ v + (1 − β₂) g²;  θ ← θ − η/c₁ · m / (√v/√c₂ + ε), c the bias corrections 1 − β^t.
// Weight decay: Adam adds λ θ to g, AdamW (decoupled) shrinks θ by η λ first.
template <typename T>
void adam_step(size_t count, const AdamStep& step, T* value, const T* grad, T* first_moment, T* second_moment) {
  const hn::ScalableTag<T> d;
  const auto decay = all_lanes(d, step.decoupled ? 0.0 : step.weight_decay);
  const auto shrink = all_lanes(d, step.decoupled ? 1.0 - step.learning_rate * step.weight_decay : 1.0);
  const auto one_minus_beta1 = all_lanes(d, 1.0 - step.beta1);
  const auto beta2 = all_lanes(d, step.beta2);
  const auto one_minus_beta2 = all_lanes(d, 1.0 - step.beta2);
  const auto root_correction2 = all_lanes(d, std::sqrt(step.bias_correction2));
  const auto rate = all_lanes(d, step.learning_rate / step.bias_correction1);
  const auto eps = all_lanes(d, step.eps);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = hn::Mul(shrink, memory.load(d, value + i));
    const auto g = hn::MulAdd(decay, theta, memory.load(d, grad + i));
    auto m = memory.load(d, first_moment + i);
    m = hn::MulAdd(one_minus_beta1, hn::Sub(g, m), m);
    const auto v = hn::MulAdd(hn::Mul(one_minus_beta2, g), g, hn::Mul(beta2, memory.load(d, second_moment + i)));
    const auto denominator = hn::Add(hn::Div(hn::Sqrt(v), root_correction2), eps);
    memory.store(d, m, first_moment + i);
    memory.store(d, v, second_moment + i);
    memory.store(d, hn::NegMulAdd(rate, hn::Div(m, denominator), theta), value + i);
  });
}

// g ← g + λ θ;  v ← α v + (1 − α) g²;  u = g / (√v + ε);  b ← μ b + u;  θ ← θ − η (b, or u without momentum)
template <typename T>
void rmsprop_step(size_t count, const RmspropStep& step, T* value, const T* grad, T* square_average, T* momentum_buffer) {
  const hn::ScalableTag<T> d;
  const auto rate = all_lanes(d, step.learning_rate);
  const auto alpha = all_lanes(d, step.alpha);
  const auto one_minus_alpha = all_lanes(d, 1.0 - step.alpha);
  const auto eps = all_lanes(d, step.eps);
  const auto decay = all_lanes(d, step.weight_decay);
  const auto momentum = all_lanes(d, step.momentum);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto theta = memory.load(d, value + i);
    const auto g = hn::MulAdd(decay, theta, memory.load(d, grad + i));
    const auto v = hn::MulAdd(hn::Mul(one_minus_alpha, g), g, hn::Mul(alpha, memory.load(d, square_average + i)));
    memory.store(d, v, square_average + i);
    auto update = hn::Div(g, hn::Add(hn::Sqrt(v), eps));
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
