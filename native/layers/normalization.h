#pragma once
#include <cstddef>

namespace evenkeel {

// LayerNorm (Ba, Kiros, Hinton 2016) and RMSNorm (Zhang, Sennrich 2019) over the last dimension. input, output, doutput, dinput: [rows,
// size] weight, bias: [size]; null in a LayerNorm without affine parameters. Gradients of weight and bias are added to.

// What LayerNorm keeps of each row for its backward pass: three arrays [rows] one after the other.
template <typename T>
struct LayerNormStatistics {
  T* mean;
  T* residual;  // the mean's part below T's precision
  T* rstd;      // 1/√(var + ε)

  LayerNormStatistics(T* packed, size_t rows) : mean(packed), residual(packed + rows), rstd(packed + 2 * rows) {}
};

template <typename T>
void layer_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output,
                        const LayerNormStatistics<T>& statistics) noexcept;

// Throws std::bad_alloc.
template <typename T>
void layer_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const LayerNormStatistics<T>& statistics,
                         const T* doutput, T* dinput, T* dweight, T* dbias);

// rstd: [rows], 1/√(mean(a²) + ε)
template <typename T>
void rms_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, T* output, T* rstd) noexcept;

// Throws std::bad_alloc.
template <typename T>
void rms_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const T* rstd, const T* doutput, T* dinput, T* dweight);

}  // namespace evenkeel
