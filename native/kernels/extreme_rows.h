#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace evenkeel {

// The rows of a normalisation that its vector kernels leave out: those whose sums T's range or precision does not hold. One at a time, in
// double and scaled by powers of two, for any row of finite elements. Rare, and compiled once for all SIMD targets.
//
// Where an element is within a factor of four of T's largest number, a − μ may be infinite and 1/σ zero: the statistics are then those of
// the row times 2^−(half of T's exponents), and rstd is negative, which says so.

// Rewrites the statistics of each row with a flag, unless an element is not finite. input: [rows, size]; statistics, flags: [rows];
// centred: LayerNorm, else RMSNorm.
template <typename T>
void extreme_statistics(bool centred, size_t rows, size_t size, T eps, const T* input, const RowStatistics<T>& statistics,
                        const T* flags) noexcept;

// A bit for each row whose statistics are scaled.
template <typename T>
std::uint64_t scaled_rows(size_t rows, const T* rstd) noexcept;

// A bit for each of the flagged rows whose elements are all equal, and their gradients too: then ∂L/∂a is exactly zero.
// input, doutput: [rows, size]   weight: [size] or null for ones   flags: [rows]
template <typename T>
std::uint64_t constant_rows(size_t rows, size_t size, const T* input, const T* weight, const T* doutput, const T* flags) noexcept;

// y = γ ⊙ â + β of one row; weight, bias: null for ones and zeros; bias may be output
template <typename T>
void normalize_extreme_row(bool centred, size_t size, const T* input, const T* weight, const T* bias, T* output,
                           const RowStatistics<T>& row) noexcept;

// Backward of one row, as the kernels in NormKernels; dinput, dweight, dbias may be null, and dinput may be doutput
template <typename T>
void extreme_row_backward(bool centred, size_t size, const T* input, const T* weight, const RowStatistics<T>& row, const T* doutput,
                          T* dinput, T* dweight, T* dbias) noexcept;

}  // namespace evenkeel
