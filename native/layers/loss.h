#pragma once
#include <cstddef>
#include <cstdint>

namespace evenkeel {

// Losses, summed in double, with their gradient. All arrays packed. Throw std::bad_alloc.

// mean((output − target)²); grad = 2 (output − target) / count       output, target, grad: [count]
template <typename T>
double mean_squared_error(size_t count, const T* output, const T* target, T* grad);

// mean over rows of −ln softmax(logits)[label]; grad = (softmax(logits) − onehot(label)) / rows
// logits, grad: [rows, classes]   labels: [rows], each in [0, classes)
template <typename T>
double cross_entropy(size_t rows, size_t classes, const T* logits, const std::int32_t* labels, T* grad);

}  // namespace evenkeel
