#pragma once
#include <cstddef>
#include <string>

namespace evenkeel::gemm {

// Single-threaded matrix products by OpenBLAS, row-major, sizes up to 2^31 − 1. The caller cuts work for threads by shape, since OpenBLAS
// may sum in another order for another size. A leading dimension `ld` is the distance in elements between rows; beta is 0 or 1.

// c = a bᵀ + beta c          a: [m, k]   b: [n, k]   c: [m, n]
template <typename T>
void multiply_transposed(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept;

// c = a b + beta c           a: [m, k]   b: [k, n]   c: [m, n]
template <typename T>
void multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept;

// c = aᵀ b + beta c          a: [k, m]   b: [k, n]   c: [m, n]
template <typename T>
void transposed_multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept;

// Whether OpenBLAS has kernels for this processor: of x86, one with SSE3, or with 3DNow! as the first ones of 64 bits had.
bool has_kernels() noexcept;

// Sets OpenBLAS to one thread per call: ours are the only threads. Called once when the addon loads.
void initialize() noexcept;

// OpenBLAS's version and kernel, such as "OpenBLAS 0.3.21 SkylakeX".
std::string description();

}  // namespace evenkeel::gemm
