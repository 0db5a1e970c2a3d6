#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"

namespace evenkeel {

// Elements of one task of a pass over an array. Every sum is cut here and its parts are added in order, for every number of threads.
constexpr size_t kElementsPerPart = 8192;

// Adds up part(begin, end) over [0, count) cut into ranges of `grain`. Throws std::bad_alloc.
template <typename Part>
double sum_of_parts(size_t count, size_t grain, Part&& part) {
  if (count <= grain) return part(size_t{0}, count);
  const size_t parts = (count + grain - 1) / grain;
  const AlignedBuffer<double> sums(parts);
  parallel_ranges(count, grain, [&](size_t begin, size_t end) { sums.get()[begin / grain] = part(begin, end); });
  double total = 0;
  for (size_t i = 0; i < parts; ++i) total += sums.get()[i];
  return total;
}

}  // namespace evenkeel
