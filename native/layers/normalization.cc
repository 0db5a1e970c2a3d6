#include "layers/normalization.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/row_blocks.h"

namespace evenkeel {
namespace {

// Elements of one task: about 10 µs of work, far above the cost of handing it to a thread.
constexpr size_t kElementsPerTask = 16384;

size_t rows_per_task(size_t size) noexcept { return std::max<size_t>(1, kElementsPerTask / size); }

}  // namespace

template <typename T>
void layer_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output,
                        const LayerNormStatistics<T>& statistics) noexcept {
  parallel_ranges(rows, rows_per_task(size), [&](size_t begin, size_t end) {
    kernels<T>().layer_norm_forward(end - begin, size, eps, input + begin * size, weight, bias, output + begin * size,
                                    statistics.mean + begin, statistics.residual + begin, statistics.rstd + begin);
  });
}

template <typename T>
void layer_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const LayerNormStatistics<T>& statistics,
                         const T* doutput, T* dinput, T* dweight, T* dbias) {
  const auto run = [&](size_t begin, size_t end, T* dweight_part, T* dbias_part) {
    kernels<T>().layer_norm_backward(end - begin, size, input + begin * size, weight, statistics.mean + begin, statistics.residual + begin,
                                     statistics.rstd + begin, doutput + begin * size, dinput + begin * size, dweight_part, dbias_part);
  };
  if (dweight == nullptr) {
    parallel_ranges(rows, rows_per_task(size), [&](size_t begin, size_t end) { run(begin, end, nullptr, nullptr); });
    return;
  }
  const AlignedBuffer<T> sums(2 * size);
  std::fill_n(sums.get(), 2 * size, T{0});
  accumulate_over_rows(
      rows, 2 * size, [&](size_t begin, size_t end, T* partial) { run(begin, end, partial, partial + size); }, sums.get());
  kernels<T>().add(size, sums.get(), dweight);
  kernels<T>().add(size, sums.get() + size, dbias);
}

template <typename T>
void rms_norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, T* output, T* rstd) noexcept {
  parallel_ranges(rows, rows_per_task(size), [&](size_t begin, size_t end) {
    kernels<T>().rms_norm_forward(end - begin, size, eps, input + begin * size, weight, output + begin * size, rstd + begin);
  });
}

template <typename T>
void rms_norm_backward(size_t rows, size_t size, const T* input, const T* weight, const T* rstd, const T* doutput, T* dinput, T* dweight) {
  accumulate_over_rows(
      rows, size,
      [&](size_t begin, size_t end, T* partial) {
        kernels<T>().rms_norm_backward(end - begin, size, input + begin * size, weight, rstd + begin, doutput + begin * size,
                                       dinput + begin * size, partial);
      },
      dweight);
}

#define EVENKEEL_INSTANTIATE(T)                                                                                                  \
  template void layer_norm_forward(size_t, size_t, T, const T*, const T*, const T*, T*, const LayerNormStatistics<T>&) noexcept; \
  template void layer_norm_backward(size_t, size_t, const T*, const T*, const LayerNormStatistics<T>&, const T*, T*, T*, T*);    \
  template void rms_norm_forward(size_t, size_t, T, const T*, const T*, T*, T*) noexcept;                                        \
  template void rms_norm_backward(size_t, size_t, const T*, const T*, const T*, const T*, T*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
