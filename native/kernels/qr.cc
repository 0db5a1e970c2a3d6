#include "kernels/qr.h"

#include <cmath>
#include <limits>

// OpenBLAS comes with LAPACK, but Debian's without a header for it. Matrices are column-major; integers are 32 bits wide, as in cblas.h.
extern "C" {
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work, const int* lwork, int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau, double* work, const int* lwork,
             int* info);
}

namespace evenkeel::qr {
namespace {

// Columns that LAPACK takes at once.
constexpr size_t kBlock = 32;

// |R(i, i)|, which is stored at the head of the reflections: column i holds R's from the top down to there.
double length_beyond(const double* column, size_t i, size_t size) noexcept {
  double squares = 0;
  for (size_t k = 0; k <= i; ++k) squares += column[k] * column[k];
  const double length = std::abs(column[i]);
  const double rounding = static_cast<double>(size) * std::numeric_limits<double>::epsilon() * std::sqrt(squares);
  return length <= rounding ? 0 : length;
}

}  // namespace

size_t scratch_size(size_t count) noexcept { return (1 + kBlock) * count; }

void orthonormalize(size_t count, size_t size, double* vectors, double* lengths, double* scratch) noexcept {
  const int columns = static_cast<int>(count);
  const int rows = static_cast<int>(size);
  const int lwork = static_cast<int>(kBlock * count);
  double* tau = scratch;
  double* work = scratch + count;
  int info = 0;  // tells of wrong arguments alone
  dgeqrf_(&rows, &columns, vectors, &rows, tau, work, &lwork, &info);
  for (size_t i = 0; i < count; ++i) lengths[i] = length_beyond(vectors + i * size, i, size);
  dorgqr_(&rows, &columns, &columns, vectors, &rows, tau, work, &lwork, &info);
}

}  // namespace evenkeel::qr
