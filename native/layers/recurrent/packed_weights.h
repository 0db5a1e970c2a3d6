#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace evenkeel {

// Columns, and those that fill the last panel.
template <typename T>
size_t whole_panels(size_t cols) noexcept {
  const size_t panel = kernels<T>().panel_columns();
  return (cols + panel - 1) / panel * panel;
}

// A weight matrix [out, in] as the right operand of a product, packed once for many.
template <typename T>
class PackedWeights {
 public:
  // For a wᵀ with a [rows, in].   Throws std::bad_alloc.
  static PackedWeights transposed(size_t out, size_t in, const T* weight) { return PackedWeights(in, out, weight, 1, in); }
  // For a w with a [rows, out].   Throws std::bad_alloc.
  static PackedWeights plain(size_t out, size_t in, const T* weight) { return PackedWeights(out, in, weight, in, 1); }
  // The same, or nothing where the product is not wanted.
  static PackedWeights plain_if(bool wanted, size_t out, size_t in, const T* weight) { return plain(out, wanted ? in : 0, weight); }

  // The product of a [rows, k] with leading dimension with these weights.
  PanelOperand<T> times(const T* a, size_t lda) const noexcept { return {a, lda, panels_.get(), k_}; }
  static PanelOperand<T> none() noexcept { return {nullptr, 0, nullptr, 0}; }

 private:
  static constexpr size_t kElementsPerTask = 16384;

  PackedWeights(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride) : k_(k), panels_(k * whole_panels<T>(cols)) {
    const size_t panel = kernels<T>().panel_columns();
    const size_t cols_per_task = panel * std::max<size_t>(1, kElementsPerTask / (panel * k));
    const size_t tasks = std::max<size_t>(1, cols / cols_per_task);
    parallel_for(tasks, [&](size_t task) {
      const size_t begin = task * cols_per_task;
      const size_t end = task + 1 == tasks ? cols : begin + cols_per_task;  // the last panel may be wider than the rest
      kernels<T>().pack_panels(k, end - begin, b + begin * col_stride, k_stride, col_stride, panels_.get() + begin * k);
    });
  }

  size_t k_;
  AlignedBuffer<T> panels_;
};

}  // namespace evenkeel
