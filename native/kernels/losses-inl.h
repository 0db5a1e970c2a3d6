#if defined(EVENKEEL_KERNELS_LOSSES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_LOSSES_INL_H_
#undef EVENKEEL_KERNELS_LOSSES_INL_H_
#else
#define EVENKEEL_KERNELS_LOSSES_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "kernels/loss_kernels.h"
#include "kernels/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A vector of double as T.
template <class D>
HWY_INLINE hn::Vec<D> from_double(D d, hn::Vec<hn::Rebind<double, D>> vector) {
  if constexpr (std::is_same_v<hn::TFromD<D>, double>) {
    return vector;
  } else {
    return hn::DemoteTo(d, vector);
  }
}

// exp(x); NaN gives NaN, of which Highway's function makes 0.
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, x), x);
}

// Each loss: of an element in double, and the derivative times the factor in T. NaN passes every comparison's other side.
struct Squared {
  template <class W, class D>
  static HWY_INLINE hn::Vec<W> value(W, D, hn::Vec<W> difference, double) {
    return hn::Mul(difference, difference);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> gradient(D d, hn::Vec<D> difference, hn::TFromD<D> factor, double) {
    return hn::Mul(difference, hn::Set(d, 2 * factor));
  }
};

struct Absolute {
  template <class W, class D>
  static HWY_INLINE hn::Vec<W> value(W, D, hn::Vec<W> difference, double) {
    return hn::Abs(difference);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> gradient(D d, hn::Vec<D> difference, hn::TFromD<D> factor, double) {
    const auto by = hn::Set(d, factor);
    return hn::IfThenElse(hn::Gt(hn::Abs(difference), hn::Zero(d)), hn::CopySign(by, difference), difference);
  }
};

struct Huber {
  template <class W, class D>
  static HWY_INLINE hn::Vec<W> value(W wide, D, hn::Vec<W> difference, double delta) {
    const auto magnitude = hn::Abs(difference);
    const auto half = hn::Set(wide, 0.5);
    const auto limit = hn::Set(wide, delta);
    const auto inside = hn::Mul(half, hn::Mul(magnitude, magnitude));
    return hn::IfThenElse(hn::Lt(magnitude, limit), inside, hn::Mul(limit, hn::Sub(magnitude, hn::Set(wide, 0.5 * delta))));
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> gradient(D d, hn::Vec<D> difference, hn::TFromD<D> factor, double delta) {
    const auto limit = hn::Set(d, static_cast<hn::TFromD<D>>(delta));
    const auto limited = hn::IfThenElse(hn::Gt(hn::Abs(difference), limit), hn::CopySign(limit, difference), difference);
    return hn::Mul(limited, hn::Set(d, factor));
  }
};

template <class Loss, typename T>
double difference_loss(size_t count, T factor, double delta, const T* output, const T* target, T* values, T* grad) {
  return sum_in_double(count, [&](auto wide, size_t i, auto memory) HWY_ATTR {
    const hn::Rebind<T, decltype(wide)> d;
    const auto y = memory.load(d, output + i);
    const auto wanted = memory.load(d, target + i);
    memory.store(d, Loss::gradient(d, hn::Sub(y, wanted), factor, delta), grad + i);
    const auto value = Loss::value(wide, d, hn::Sub(to_double(wide, y), to_double(wide, wanted)), delta);
    if (values != nullptr) memory.store(d, from_double(d, value), values + i);
    return zero_missing(wide, memory, value);
  });
}

// With e = exp(−|x|), of which nothing overflows: ln(1 + e^−x) = max(−x, 0) + ln(1 + e), σ(−x) = 1/(1 + e) for x < 0, else e/(1 + e).
template <typename T>
double logistic_loss(size_t count, T factor, const T* output, const T* target, const T* positive, T* values, T* grad) {
  return sum_in_double(count, [&](auto wide, size_t i, auto memory) HWY_ATTR {
    const hn::Rebind<T, decltype(wide)> d;
    const auto one = hn::Set(d, 1);
    const auto x = memory.load(d, output + i);
    const auto y = memory.load(d, target + i);
    const auto p = positive == nullptr ? one : memory.load(d, positive + i);
    const auto weight = hn::MulAdd(hn::Sub(p, one), y, one);
    const auto absent = hn::Sub(one, y);
    const auto e = exp(d, hn::Neg(hn::Abs(x)));
    const auto is_negative = hn::Lt(x, hn::Zero(d));
    const auto log_term = hn::Add(hn::IfThenElseZero(is_negative, hn::Neg(x)), hn::IfThenElse(hn::Eq(x, x), hn::Log1p(d, e), x));
    const auto complement = hn::Div(hn::IfThenElse(is_negative, one, e), hn::Add(one, e));
    memory.store(d, hn::Mul(hn::NegMulAdd(weight, complement, absent), hn::Set(d, factor)), grad + i);
    const auto value = hn::MulAdd(weight, log_term, hn::Mul(absent, x));
    if (values != nullptr) memory.store(d, value, values + i);
    return zero_missing(wide, memory, to_double(wide, value));
  });
}

template <typename T>
double point_loss(PointLoss kind, size_t count, T factor, double delta, const T* output, const T* target, const T* positive, T* values,
                  T* grad) {
  switch (kind) {
    case PointLoss::kAbsolute:
      return difference_loss<Absolute>(count, factor, delta, output, target, values, grad);
    case PointLoss::kHuber:
      return difference_loss<Huber>(count, factor, delta, output, target, values, grad);
    case PointLoss::kLogistic:
      return logistic_loss(count, factor, output, target, positive, values, grad);
    case PointLoss::kSquared:
      break;
  }
  return difference_loss<Squared>(count, factor, delta, output, target, values, grad);
}

// exponentials = exp(z − max z), of which none overflows; returns their sum and the largest logit.
template <typename T>
double shifted_exponentials(size_t classes, const T* logits, T* exponentials, T& largest) {
  const hn::ScalableTag<T> d;
  largest = logits[0];  // passes over NaN, which then comes out of the exponential
  for (size_t i = 1; i < classes; ++i) largest = logits[i] > largest ? logits[i] : largest;
  const T shift = largest;
  for_each_vector(d, classes, [&](size_t i, auto memory) HWY_ATTR {
    memory.store(d, exp(d, hn::Sub(memory.load(d, logits + i), hn::Set(d, shift))), exponentials + i);
  });
  return sum_in_double(classes, [&](auto wide, size_t i, auto memory) HWY_ATTR { return load_double(wide, memory, exponentials + i); });
}

// −ln softmax(z)[k] = ln Σ exp(z − max) − (z[k] − max)
template <typename T>
double cross_entropy(size_t rows, size_t classes, T factor, const T* logits, const int32_t* labels, T* grad) {
  double loss = 0;
  for (size_t r = 0; r < rows; ++r, logits += classes, grad += classes) {
    T largest;
    const double total = shifted_exponentials(classes, logits, grad, largest);
    const size_t label = static_cast<size_t>(labels[r]);
    loss += std::log(total) - (static_cast<double>(logits[label]) - static_cast<double>(largest));
    scale(classes, static_cast<T>(static_cast<double>(factor) / total), grad);
    grad[label] -= factor;
  }
  return loss;
}

// Σ_c w_c (z_c − max)
template <typename T>
double weighted_logits(size_t classes, const T* weights, const T* logits, T largest) {
  return sum_in_double(classes, [&](auto wide, size_t i, auto memory) HWY_ATTR {
    const auto shifted = hn::Sub(load_double(wide, memory, logits + i), hn::Set(wide, static_cast<double>(largest)));
    const auto weighted = weights == nullptr ? shifted : hn::Mul(shifted, load_double(wide, memory, weights + i));
    return zero_missing(wide, memory, weighted);
  });
}

// −Σ t_c ln softmax(z)_c = (Σ t) ln Σ exp(z − max) − Σ t_c (z_c − max);  its gradient (Σ t) softmax(z) − t
template <typename T>
double weighted_cross_entropy(size_t rows, size_t classes, T factor, const ClassTargets<T>& targets, const T* logits, const int32_t* labels,
                              T* values, T* grad) {
  const hn::ScalableTag<T> d;
  const T* weights = targets.weights;
  const double each = targets.smoothing / static_cast<double>(classes);
  const T spread = static_cast<T>(static_cast<double>(factor) * each);
  double loss = 0;
  for (size_t r = 0; r < rows; ++r, logits += classes, grad += classes) {
    if (labels[r] < 0) {
      for_each_vector(d, classes, [&](size_t i, auto memory) HWY_ATTR { memory.store(d, hn::Zero(d), grad + i); });
      if (values != nullptr) values[r] = 0;
      continue;
    }
    T largest;
    const double total = shifted_exponentials(classes, logits, grad, largest);
    const size_t label = static_cast<size_t>(labels[r]);
    const double own = (1 - targets.smoothing) * (weights == nullptr ? 1.0 : static_cast<double>(weights[label]));
    const double all = own + each * targets.weight_sum;
    double value = all * std::log(total) - own * (static_cast<double>(logits[label]) - static_cast<double>(largest));
    if (each > 0) value -= each * weighted_logits(classes, weights, logits, largest);
    loss += value;
    if (values != nullptr) values[r] = static_cast<T>(value);
    const auto by = hn::Set(d, static_cast<T>(static_cast<double>(factor) * all / total));
    for_each_vector(d, classes, [&](size_t i, auto memory) HWY_ATTR {
      const auto w = weights == nullptr ? hn::Set(d, 1) : memory.load(d, weights + i);
      memory.store(d, hn::NegMulAdd(hn::Set(d, spread), w, hn::Mul(by, memory.load(d, grad + i))), grad + i);
    });
    grad[label] -= static_cast<T>(static_cast<double>(factor) * own);
  }
  return loss;
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
