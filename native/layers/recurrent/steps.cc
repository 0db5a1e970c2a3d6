#include "layers/recurrent/steps.h"

#include <algorithm>

#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace evenkeel {

template <typename T>
void copy_steps(const StepOrder& order, size_t width, const T* from, size_t ld_from, T* to, size_t ld_to) noexcept {
  const auto& k = kernels<T>();
  parallel_for(order.n, [&](size_t n) {
    const size_t length = order.lengths == nullptr ? order.t : static_cast<size_t>(order.lengths[n]);
    const T* source = from + n * order.t * ld_from;
    T* target = to + n * order.t * ld_to;
    if (!order.reverse && !order.add) return k.copy_rows(order.t, width, source, ld_from, target, ld_to);
    for (size_t step = 0; step < order.t; ++step) {
      const T* row = source + (order.reverse && step < length ? length - 1 - step : step) * ld_from;
      if (order.add) {
        k.add(width, row, target + step * ld_to);
      } else {
        std::copy_n(row, width, target + step * ld_to);
      }
    }
  });
}

template <typename T>
void reorder_steps(const SequenceOrder& order, size_t width, const T* from, T* to) noexcept {
  parallel_for(order.n, [&](size_t k) {
    const auto row = static_cast<size_t>(order.order[k]);
    const size_t count = static_cast<size_t>(order.lengths[row]) * width, all = order.t * width;
    T* target = to + (order.back ? row : k) * all;
    std::copy_n(from + (order.back ? k : row) * all, count, target);
    if (order.back) std::fill(target + count, target + all, T{0});
  });
}

template void copy_steps(const StepOrder&, size_t, const float*, size_t, float*, size_t) noexcept;
template void copy_steps(const StepOrder&, size_t, const double*, size_t, double*, size_t) noexcept;
template void reorder_steps(const SequenceOrder&, size_t, const float*, float*) noexcept;
template void reorder_steps(const SequenceOrder&, size_t, const double*, double*) noexcept;

}  // namespace evenkeel
