#include "layers/normalization.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "layers/row_blocks.h"

namespace evenkeel {
namespace {

// Elements of one task: about 10 µs of work, far above the cost of handing it to a thread.
constexpr size_t kElementsPerTask = 16384;

size_t rows_per_task(size_t size) noexcept { return std::max<size_t>(1, kElementsPerTask / size); }

// Above this, an array that a call writes would only push out of the last-level cache what is read next.
constexpr size_t kStreamedBytes = size_t{12} << 20;

template <typename T>
bool streams(size_t rows, size_t size) noexcept {
  return rows * size > kStreamedBytes / sizeof(T);
}

template <typename T>
RowStatistics<T> from_row(const RowStatistics<T>& statistics, Norm norm, size_t row) noexcept {
  if (norm == Norm::kRms) return {nullptr, nullptr, statistics.rstd + row};
  return {statistics.mean + row, statistics.residual + row, statistics.rstd + row};
}

}  // namespace

template <typename T>
void norm_forward(Norm norm, size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, T* output,
                  const RowStatistics<T>& statistics) noexcept {
  const auto kernel = norm == Norm::kLayer ? kernels<T>().layer_norm_forward : kernels<T>().rms_norm_forward;
  parallel_ranges(rows, rows_per_task(size), [&](size_t begin, size_t end) {
    kernel(end - begin, size, eps, input + begin * size, weight, bias, 0, output + begin * size, from_row(statistics, norm, begin),
           streams<T>(rows, size));
  });
}

template <typename T>
void norm_backward(Norm norm, size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& statistics,
                   const T* doutput, T* dinput, T* dweight, T* dbias) {
  const auto kernel = norm == Norm::kLayer ? kernels<T>().layer_norm_backward : kernels<T>().rms_norm_backward;
  const auto run = [&](size_t begin, size_t end, T* dweight_part, T* dbias_part) {
    kernel(end - begin, size, input + begin * size, weight, from_row(statistics, norm, begin), doutput + begin * size,
           dinput == nullptr ? nullptr : dinput + begin * size, dweight_part, dbias_part, 0, streams<T>(rows, size), nullptr);
  };
  if (dweight == nullptr) {
    if (dinput == nullptr) return;  // then nothing is wanted
    parallel_ranges(rows, rows_per_task(size), [&](size_t begin, size_t end) { run(begin, end, nullptr, nullptr); });
    return;
  }
  if (dbias == nullptr) {
    accumulate_over_rows(
        rows, size, [&](size_t begin, size_t end, T* partial) { run(begin, end, partial, nullptr); }, dweight);
    return;
  }
  const AlignedBuffer<T> sums(2 * size);
  std::fill_n(sums.get(), 2 * size, T{0});
  accumulate_over_rows(
      rows, 2 * size, [&](size_t begin, size_t end, T* partial) { run(begin, end, partial, partial + size); }, sums.get());
  kernels<T>().add(size, sums.get(), dweight);
  kernels<T>().add(size, sums.get() + size, dbias);
}

#define EVENKEEL_INSTANTIATE(T)                                                                                            \
  template void norm_forward(Norm, size_t, size_t, T, const T*, const T*, const T*, T*, const RowStatistics<T>&) noexcept; \
  template void norm_backward(Norm, size_t, size_t, const T*, const T*, const RowStatistics<T>&, const T*, T*, T*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
