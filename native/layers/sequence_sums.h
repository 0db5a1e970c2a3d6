#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"

namespace evenkeel {

// A sum of rows [size] over steps of all sequences that may run on any thread: each sequence has a row of its own to add to, and the rows
// are added up in their order, in double, when the steps are done. Neither the number of threads nor how sequences are cut among them
// changes a bit.
template <typename T>
class SequenceSums {
 public:
  // Throws std::bad_alloc.
  SequenceSums(size_t sequences, size_t size) : sequences_(sequences), size_(size), rows_(sequences * size), total_(size) {
    std::fill_n(rows_.get(), sequences * size, T{0});
  }

  T* row(size_t sequence) const noexcept { return rows_.get() + sequence * size_; }

  // Empties the rows into the total, which it replaces.
  void add_up() const noexcept {
    parallel_ranges(size_, kColumnsPerTask, [&](size_t begin, size_t end) {
      double sums[kColumnsPerTask] = {};
      for (size_t n = 0; n < sequences_; ++n) {
        for (size_t i = begin; i < end; ++i) sums[i - begin] += static_cast<double>(row(n)[i]);
        std::fill(row(n) + begin, row(n) + end, T{0});
      }
      for (size_t i = begin; i < end; ++i) total_.get()[i] = static_cast<T>(sums[i - begin]);
    });
  }

  const T* total() const noexcept { return total_.get(); }

 private:
  static constexpr size_t kColumnsPerTask = 128;

  size_t sequences_;
  size_t size_;
  AlignedBuffer<T> rows_;   // [sequences, size]
  AlignedBuffer<T> total_;  // [size]
};

}  // namespace evenkeel
