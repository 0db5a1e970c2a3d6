#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/loss_kernels.h"

namespace evenkeel {

// Losses, summed in double and divided by a divisor, with the gradient of that. All arrays packed. Throw std::bad_alloc.

// Σ loss(output, target) / divisor      output, target, values, grad: [count]   positive: p of kLogistic [width], for every row [width] of
// the elements; null for ones   values: each element's loss, not divided; null for nowhere
template <typename T>
double point_loss(PointLoss kind, size_t count, double divisor, double delta, const T* output, const T* target, size_t width,
                  const T* positive, T* values, T* grad);

// mean over rows of −ln softmax(logits)[label]; grad = (softmax(logits) − onehot(label)) / rows
// logits, grad: [rows, classes]   labels: [rows], each in [0, classes)
template <typename T>
double cross_entropy(size_t rows, size_t classes, const T* logits, const std::int32_t* labels, T* grad);

// −Σ_r Σ_c t_c ln softmax(logits[r])_c / divisor over the rows with a label of at least 0   values: each row's loss, not divided; null for
// nowhere
template <typename T>
double weighted_cross_entropy(size_t rows, size_t classes, double divisor, const ClassTargets<T>& targets, const T* logits,
                              const std::int32_t* labels, T* values, T* grad);

}  // namespace evenkeel
