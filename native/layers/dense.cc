#include "layers/dense.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/row_blocks.h"

namespace evenkeel {
namespace {

// Rows of one product: enough that packing the weights anew for each piece costs a few percent, few enough to balance threads.
constexpr size_t kRowsPerProduct = 256;
// A weight gradient at least this large is cut by its own rows; a smaller one by the rows of the batch, into at most kMaxSplits sums.
constexpr size_t kLargeGradient = size_t{128} * 128;
constexpr size_t kWeightRowsPerProduct = 64;
constexpr size_t kRowsPerSplit = 512;
constexpr size_t kMaxSplits = 16;
// The longest sum in one product: BLAS counts in 32-bit integers.
constexpr size_t kMaxRowsPerCall = size_t{1} << 30;

// dweight[begin:end, :] += doutput[:, begin:end]ᵀ input
template <typename T>
void accumulate_in_weight_rows(size_t rows, size_t in, size_t out, const T* doutput, size_t ld_doutput, const T* input, size_t ld_input,
                               T* dweight) noexcept {
  parallel_ranges(out, kWeightRowsPerProduct, [&](size_t begin, size_t end) {
    for (size_t row = 0; row < rows; row += kMaxRowsPerCall) {
      const size_t count = std::min(kMaxRowsPerCall, rows - row);
      gemm::transposed_multiply(end - begin, in, count, doutput + row * ld_doutput + begin, ld_doutput, input + row * ld_input, ld_input,
                                T{1}, dweight + begin * in, in);
    }
  });
}

}  // namespace

template <typename T>
void project(size_t rows, size_t in, size_t out, const T* input, const T* weight, T* output) noexcept {
  parallel_ranges(rows, kRowsPerProduct, [&](size_t begin, size_t end) {
    gemm::multiply_transposed(end - begin, out, in, input + begin * in, in, weight, in, T{0}, output + begin * out, out);
  });
}

template <typename T>
void project_with_bias(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* bias, T* output) noexcept {
  parallel_ranges(rows, kRowsPerProduct, [&](size_t begin, size_t end) {
    kernels<T>().fill_rows(end - begin, out, bias, output + begin * out);
    gemm::multiply_transposed(end - begin, out, in, input + begin * in, in, weight, in, T{1}, output + begin * out, out);
  });
}

template <typename T>
void project_backward(size_t rows, size_t in, size_t out, const T* doutput, const T* weight, T* dinput) noexcept {
  parallel_ranges(rows, kRowsPerProduct, [&](size_t begin, size_t end) {
    gemm::multiply(end - begin, in, out, doutput + begin * out, out, weight, in, T{0}, dinput + begin * in, in);
  });
}

template <typename T>
void accumulate_weight_gradient(size_t rows, size_t in, size_t out, const T* doutput, size_t ld_doutput, const T* input, size_t ld_input,
                                T* dweight) {
  const size_t splits = std::clamp<size_t>(rows / kRowsPerSplit, 1, kMaxSplits);
  const size_t rows_per_split = (rows + splits - 1) / splits;
  if (in * out >= kLargeGradient || splits == 1 || rows_per_split > kMaxRowsPerCall) {
    accumulate_in_weight_rows(rows, in, out, doutput, ld_doutput, input, ld_input, dweight);
    return;
  }
  AlignedBuffer<T> partials(splits * in * out);
  parallel_for(splits, [&](size_t split) {
    const size_t begin = std::min(rows, split * rows_per_split);
    const size_t count = std::min(rows, begin + rows_per_split) - begin;
    gemm::transposed_multiply(out, in, count, doutput + begin * ld_doutput, ld_doutput, input + begin * ld_input, ld_input, T{0},
                              partials.get() + split * in * out, in);
  });
  for (size_t split = 0; split < splits; ++split) kernels<T>().add(in * out, partials.get() + split * in * out, dweight);
}

template <typename T>
void accumulate_column_sums(size_t rows, size_t size, const T* input, T* sums) {
  accumulate_over_rows(
      rows, size, [&](size_t begin, size_t end, T* partial) { kernels<T>().add_rows(end - begin, size, input + begin * size, partial); },
      sums);
}

#define EVENKEEL_INSTANTIATE(T)                                                                             \
  template void project(size_t, size_t, size_t, const T*, const T*, T*) noexcept;                           \
  template void project_with_bias(size_t, size_t, size_t, const T*, const T*, const T*, T*) noexcept;       \
  template void project_backward(size_t, size_t, size_t, const T*, const T*, T*) noexcept;                  \
  template void accumulate_weight_gradient(size_t, size_t, size_t, const T*, size_t, const T*, size_t, T*); \
  template void accumulate_column_sums(size_t, size_t, const T*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
