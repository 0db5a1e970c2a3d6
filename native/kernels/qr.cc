// Householder's QR in blocks, as in LAPACK's dgeqrf and dorgqr (Golub and Van Loan, Matrix Computations, 5.2): the reflections of a block
// are applied to the columns after it as I − V T Vᵀ, by two matrix products. Columns of the matrix are rows of the array.
#include "kernels/qr.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/gemm.h"

namespace evenkeel::qr {
namespace {

// Columns that one block takes; of fewer there is one block.
constexpr size_t kBlock = 32;
size_t block_width(size_t count) noexcept { return std::min(kBlock, count); }

// Independent partial sums, which the compiler keeps in vectors.
constexpr size_t kSums = 8;

double dot(size_t size, const double* a, const double* b) noexcept {
  double sums[kSums] = {};
  size_t k = 0;
  for (; k + kSums <= size; k += kSums) {
    for (size_t i = 0; i < kSums; ++i) sums[i] += a[k + i] * b[k + i];
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  for (; k < size; ++k) sum += a[k] * b[k];
  return sum;
}

double norm(size_t size, const double* x) noexcept {
  const double squares = dot(size, x, x);
  if (squares > 1e-280 && squares < 1e280) return std::sqrt(squares);
  // Squares that leave the range of double, or nearly.
  double largest = 0;
  for (size_t k = 0; k < size; ++k) largest = std::max(largest, std::abs(x[k]));
  if (!(largest > 0) || !std::isfinite(largest)) return std::sqrt(squares);
  double sum = 0;
  for (size_t k = 0; k < size; ++k) sum += (x[k] / largest) * (x[k] / largest);
  return largest * std::sqrt(sum);
}

// H = I − τ v vᵀ with H x = R(i, i) e_1: x becomes R(i, i) and v without its first element, which is 1. Returns τ.
double reflect(size_t size, double* x) noexcept {
  const double below = norm(size - 1, x + 1);
  if (below == 0) return 0;
  const double length = -std::copysign(std::hypot(x[0], below), x[0]);
  const double tau = (length - x[0]) / length;
  const double divisor = x[0] - length;
  for (size_t k = 1; k < size; ++k) x[k] /= divisor;
  x[0] = length;
  return tau;
}

// The reflections of the columns [first, first + count) as I − V T Vᵀ, from row `first` on.
struct Block {
  size_t first;
  size_t count;
  size_t rows;
  double* v;     // [count, rows], below the diagonal of ones
  size_t ld;     // of t and work
  double* t;     // [count, ld], upper triangular
  double* work;  // [columns, ld]
};

// of: how many columns there are in all
Block block_of(size_t first, size_t count, size_t of, size_t size, const double* vectors, const double* tau, double* scratch) noexcept {
  const size_t ld = block_width(of);
  double* gram = scratch + ld * ld;
  double* v = gram + ld * ld;
  const Block block = {first, count, size - first, v, ld, scratch, v + ld * size};
  for (size_t j = 0; j < count; ++j) {
    double* row = v + j * block.rows;
    std::fill_n(row, j, 0.0);
    row[j] = 1;
    std::copy_n(vectors + (first + j) * size + first + j + 1, block.rows - j - 1, row + j + 1);
  }
  gemm::multiply_transposed(count, count, block.rows, v, block.rows, v, block.rows, 0.0, gram, ld);
  for (size_t j = 0; j < count; ++j) {
    for (size_t i = 0; i < j; ++i) {
      double sum = 0;
      for (size_t k = i; k < j; ++k) sum += block.t[i * ld + k] * gram[k * ld + j];
      block.t[i * ld + j] = -tau[first + j] * sum;
    }
    block.t[j * ld + j] = tau[first + j];
  }
  return block;
}

// columns ← H_1 … H_count columns, or with `transposed` H_count … H_1 columns
void apply(const Block& block, bool transposed, size_t columns, double* first_column, size_t size) noexcept {
  if (columns == 0) return;
  const size_t count = block.count, ld = block.ld;
  gemm::multiply_transposed(columns, count, block.rows, first_column, size, block.v, block.rows, 0.0, block.work, ld);
  for (size_t c = 0; c < columns; ++c) {
    double* row = block.work + c * ld;
    double products[kBlock];
    for (size_t j = 0; j < count; ++j) {
      double sum = 0;
      if (transposed) {
        for (size_t i = 0; i <= j; ++i) sum += row[i] * block.t[i * ld + j];
      } else {
        for (size_t i = j; i < count; ++i) sum += row[i] * block.t[j * ld + i];
      }
      products[j] = -sum;
    }
    std::copy_n(products, count, row);
  }
  gemm::multiply(columns, block.rows, count, block.work, ld, block.v, block.rows, 1.0, first_column, size);
}

// |R(i, i)|, which is stored at the head of the reflections: column i holds R's from the top down to there.
double length_beyond(const double* column, size_t i, size_t size) noexcept {
  const double length = std::abs(column[i]);
  const double rounding = static_cast<double>(size) * std::numeric_limits<double>::epsilon() * norm(i + 1, column);
  return length <= rounding ? 0 : length;
}

void factor(size_t count, size_t size, double* vectors, double* tau, double* scratch) noexcept {
  for (size_t first = 0; first < count; first += kBlock) {
    const size_t end = std::min(first + kBlock, count);
    for (size_t j = first; j < end; ++j) {
      double* column = vectors + j * size + j;
      const size_t rows = size - j;
      tau[j] = reflect(rows, column);
      for (size_t c = j + 1; c < end; ++c) {
        double* other = vectors + c * size + j;
        const double step = tau[j] * (other[0] + dot(rows - 1, column + 1, other + 1));
        other[0] -= step;
        for (size_t k = 1; k < rows; ++k) other[k] -= step * column[k];
      }
    }
    if (end == count) return;
    apply(block_of(first, end - first, count, size, vectors, tau, scratch), true, count - end, vectors + end * size + first, size);
  }
}

// The columns of Q from the reflections, the last block first.
void form(size_t count, size_t size, double* vectors, const double* tau, double* scratch) noexcept {
  for (size_t blocks = (count + kBlock - 1) / kBlock; blocks > 0; --blocks) {
    const size_t first = (blocks - 1) * kBlock;
    const size_t end = std::min(first + kBlock, count);
    const Block block = block_of(first, end - first, count, size, vectors, tau, scratch);
    for (size_t j = first; j < end; ++j) {
      std::fill_n(vectors + j * size, size, 0.0);
      vectors[j * size + j] = 1;
    }
    apply(block, false, count - first, vectors + first * size + first, size);
  }
}

}  // namespace

size_t scratch_size(size_t count, size_t size) noexcept {
  const size_t ld = block_width(count);
  return count + ld * (2 * ld + size + count);
}

void orthonormalize(size_t count, size_t size, double* vectors, double* lengths, double* scratch) noexcept {
  double* tau = scratch;
  double* memory = scratch + count;
  factor(count, size, vectors, tau, memory);
  for (size_t i = 0; i < count; ++i) lengths[i] = length_beyond(vectors + i * size, i, size);
  form(count, size, vectors, tau, memory);
}

}  // namespace evenkeel::qr
