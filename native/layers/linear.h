#pragma once
#include <cstddef>

namespace evenkeel {

// y = x Wᵀ + b      x: [rows, in]   weight: [out, in]   bias: [out] or null   output: [rows, out]
template <typename T>
void linear_forward(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* bias, T* output) noexcept;

// dx = dy W, dW += dyᵀ x, db += Σ dy      dx: or null   dbias: [out] or null        Throws std::bad_alloc.
template <typename T>
void linear_backward(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* doutput, T* dinput, T* dweight,
                     T* dbias);

}  // namespace evenkeel
