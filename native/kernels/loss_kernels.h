#pragma once
#include <cstddef>
#include <cstdint>

namespace evenkeel {

// Losses of each element by itself, with d = output − target:
// squared d²   absolute |d|   Huber ½ d² where |d| < δ, else δ (|d| − ½ δ)
// logistic, of a logit x with target y: (1 − y) x + (1 + (p − 1) y) ln(1 + e^−x)
enum class PointLoss : std::uint8_t { kSquared = 0, kAbsolute = 1, kHuber = 2, kLogistic = 3 };

// What weighs a row's loss −Σ_c t_c ln softmax(logits)_c: t_c = (1 − ε) w_label [c = label] + ε/C w_c.
template <typename T>
struct ClassTargets {
  const T* weights;   // w [classes]; null for ones
  double weight_sum;  // Σ w
  double smoothing;   // ε
};

template <typename T>
struct LossKernels {  // losses.cc
  // Returns Σ loss in double; grad = factor · ∂loss/∂output   output, target, grad: [count]   positive: p [count], null for ones, of
  // kLogistic alone   values: each element's loss [count]; null for nowhere
  double (*point_loss)(PointLoss kind, size_t count, T factor, double delta, const T* output, const T* target, const T* positive, T* values,
                       T* grad);
  // returns −Σ_r ln softmax(logits[r])[label[r]]; grad = factor · (softmax(logits) − onehot(label)); logits: [rows, classes]
  double (*cross_entropy)(size_t rows, size_t classes, T factor, const T* logits, const std::int32_t* labels, T* grad);
  // The same with targets t; a row with a label below 0 has no loss, and a gradient of 0   values: each row's loss [rows]; null for nowhere
  double (*weighted_cross_entropy)(size_t rows, size_t classes, T factor, const ClassTargets<T>& targets, const T* logits,
                                   const std::int32_t* labels, T* values, T* grad);
};

}  // namespace evenkeel
