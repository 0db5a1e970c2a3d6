#pragma once
#include <cstddef>

namespace evenkeel {

// Products of a whole batch of rows with a weight matrix, shared by every layer that has one. Work is cut into pieces by shape alone and
// the pieces go to the threads, so the result is bit-identical for every number of threads. All arrays are packed, row-major.

// output = input weightᵀ          input: [rows, in]   weight: [out, in]   output: [rows, out]
template <typename T>
void project(size_t rows, size_t in, size_t out, const T* input, const T* weight, T* output) noexcept;

// output = input weightᵀ + bias   bias: [out]
template <typename T>
void project_with_bias(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* bias, T* output) noexcept;

// dinput = doutput weight         doutput: [rows, out]   weight: [out, in]   dinput: [rows, in]
template <typename T>
void project_backward(size_t rows, size_t in, size_t out, const T* doutput, const T* weight, T* dinput) noexcept;

// dweight += doutputᵀ input       doutput: [rows, out] with leading dimension   input: [rows, in] with leading dimension   dweight: [out,
// in] Throws std::bad_alloc.
template <typename T>
void accumulate_weight_gradient(size_t rows, size_t in, size_t out, const T* doutput, size_t ld_doutput, const T* input, size_t ld_input,
                                T* dweight);

// sums += Σ_r input[r, :]         input: [rows, size]   sums: [size]        Throws std::bad_alloc.
template <typename T>
void accumulate_column_sums(size_t rows, size_t size, const T* input, T* sums);

}  // namespace evenkeel
