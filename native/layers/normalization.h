#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace evenkeel {

// LayerNorm (Ba, Kiros, Hinton 2016) and RMSNorm (Zhang, Sennrich 2019) over the last dimension. input, output, doutput, dinput: [rows,
// size]; weight, bias: [size], null for ones and zeros. Gradients of weight and bias are added to.

enum class Norm : std::uint8_t { kLayer, kRms };

template <typename T>
void norm_forward(Norm norm, size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output,
                  const RowStatistics<T>& statistics) noexcept;

// dinput: [rows, size] or null   dweight, dbias: [size] or null, dbias null where dweight is. Throws std::bad_alloc.
template <typename T>
void norm_backward(Norm norm, size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& statistics,
                   const T* doutput, T* dinput, T* dweight, T* dbias);

}  // namespace evenkeel
