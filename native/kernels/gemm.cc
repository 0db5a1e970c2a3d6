#include "kernels/gemm.h"

#include <cblas.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>

namespace evenkeel::gemm {
namespace {

int to_blas(size_t size) noexcept { return static_cast<int>(size); }

template <typename T>
void gemm(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b,
          size_t ldb, T beta, T* c, size_t ldc) noexcept {
  const auto call = [&](auto* blas) {
    blas(CblasRowMajor, transpose_a, transpose_b, to_blas(m), to_blas(n), to_blas(k), T{1}, a, to_blas(lda), b, to_blas(ldb), beta, c,
         to_blas(ldc));
  };
  if constexpr (sizeof(T) == sizeof(float)) {
    call(cblas_sgemm);
  } else {
    call(cblas_dgemm);
  }
}

}  // namespace

template <typename T>
void multiply_transposed(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept {
  gemm(CblasNoTrans, CblasTrans, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

template <typename T>
void multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept {
  gemm(CblasNoTrans, CblasNoTrans, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

template <typename T>
void transposed_multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* b, size_t ldb, T beta, T* c, size_t ldc) noexcept {
  gemm(CblasTrans, CblasNoTrans, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

bool has_kernels() noexcept {
#if defined(__x86_64__)
  // OpenBLAS asks for SSE3 in all its kernels of x86-64 but for those of the Opterons of 2003, where it clears the registers by 3DNow!.
  constexpr unsigned kSse3 = 1U << 0;
  constexpr unsigned k3DNow = 1U << 31;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kSse3) != 0) return true;
  return __get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0 && (edx & k3DNow) != 0;
#else
  return true;
#endif
}

void initialize() noexcept { openblas_set_num_threads(1); }

std::string description() {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." says more about the build than a reader needs.
  const std::string config = openblas_get_config();
  const size_t first = config.find(' ');
  const size_t second = first == std::string::npos ? first : config.find(' ', first + 1);
  return config.substr(0, second) + " " + openblas_get_corename();
}

#define EVENKEEL_INSTANTIATE(T)                                                                                          \
  template void multiply_transposed(size_t, size_t, size_t, const T*, size_t, const T*, size_t, T, T*, size_t) noexcept; \
  template void multiply(size_t, size_t, size_t, const T*, size_t, const T*, size_t, T, T*, size_t) noexcept;            \
  template void transposed_multiply(size_t, size_t, size_t, const T*, size_t, const T*, size_t, T, T*, size_t) noexcept;
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel::gemm
