#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"

namespace evenkeel {

// Sums over rows, cut for threads: blocks of rows are summed apart and the blocks' sums added in order. Both cuts depend on the number of
// rows alone. A float sum runs over at most kRowsPerFlush rows before it is added to a double, so that its error does not grow with the
// rows.
constexpr size_t kRowsPerFlush = 256;
constexpr size_t kMaxRowBlocks = 32;
constexpr size_t kLinePairElements = 32;

// sums[0:size] += Σ over rows, where add_rows(begin, end, T* partial) adds the rows [begin, end) to `partial`, which starts at zero.
template <typename T, typename AddRows>
void accumulate_over_rows(size_t rows, size_t size, AddRows&& add_rows, T* sums) {
  const size_t blocks = std::clamp<size_t>(rows / kRowsPerFlush, 1, kMaxRowBlocks);
  const size_t rows_per_block = (rows + blocks - 1) / blocks;
  // The sums of two blocks must not share a cache line, nor a pair of lines that is fetched together: two threads write them at a time.
  const size_t stride = (size + kLinePairElements - 1) / kLinePairElements * kLinePairElements;
  AlignedBuffer<double> totals(blocks * stride);
  AlignedBuffer<T> partials(blocks * stride);
  parallel_for(blocks, [&](size_t block) {
    double* total = totals.get() + block * stride;
    T* partial = partials.get() + block * stride;
    std::fill_n(total, size, 0.0);
    const size_t end = std::min(rows, (block + 1) * rows_per_block);
    for (size_t begin = block * rows_per_block; begin < end; begin += kRowsPerFlush) {
      std::fill_n(partial, size, T{0});
      add_rows(begin, std::min(end, begin + kRowsPerFlush), partial);
      for (size_t i = 0; i < size; ++i) total[i] += static_cast<double>(partial[i]);
    }
  });
  for (size_t block = 1; block < blocks; ++block) {
    for (size_t i = 0; i < size; ++i) totals.get()[i] += totals.get()[block * stride + i];
  }
  for (size_t i = 0; i < size; ++i) sums[i] += static_cast<T>(totals.get()[i]);
}

}  // namespace evenkeel
