#include "layers/embedding.h"

#include <algorithm>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "layers/partial_sums.h"

namespace evenkeel {
namespace {

// Rows of one task.
size_t rows_per_part(size_t width) { return std::max<size_t>(1, kElementsPerPart / width); }

// The rows [begin, end) of `order` have one index.
struct Group {
  size_t begin, end;
};

// Row numbers by index, those of one index ascending; rows without one are left out.
std::vector<std::int32_t> rows_by_index(size_t rows, const std::int32_t* indices) {
  std::vector<std::int32_t> order;
  order.reserve(rows);
  for (size_t r = 0; r < rows; ++r) {
    if (indices[r] >= 0) order.push_back(static_cast<std::int32_t>(r));
  }
  std::sort(order.begin(), order.end(),
            [&](std::int32_t a, std::int32_t b) { return indices[a] != indices[b] ? indices[a] < indices[b] : a < b; });
  return order;
}

}  // namespace

template <typename T>
void embedding_forward(size_t rows, size_t width, const std::int32_t* indices, const T* weight, T* output) noexcept {
  parallel_ranges(rows, rows_per_part(width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      if (indices[r] < 0) {
        std::fill_n(output + r * width, width, T{0});
      } else {
        std::copy_n(weight + static_cast<size_t>(indices[r]) * width, width, output + r * width);
      }
    }
  });
}

template <typename T>
size_t embedding_backward(size_t rows, size_t width, const std::int32_t* indices, const T* doutput, T* dweight, std::int32_t* touched) {
  const std::vector<std::int32_t> order = rows_by_index(rows, indices);
  std::vector<Group> groups;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::int32_t index = indices[order[i]];
    if (groups.empty() || touched[groups.size() - 1] != index) {
      touched[groups.size()] = index;
      groups.push_back({i, i});
    }
    groups.back().end = i + 1;
  }
  AlignedBuffer<double> sums(groups.size() * width);
  // A group's sum is one thread's.
  parallel_for(groups.size(), [&](size_t g) {
    double* sum = sums.get() + g * width;
    std::fill_n(sum, width, 0.0);
    for (size_t i = groups[g].begin; i < groups[g].end; ++i) {
      const T* row = doutput + static_cast<size_t>(order[i]) * width;
      for (size_t column = 0; column < width; ++column) sum[column] += static_cast<double>(row[column]);
    }
    T* to = dweight + static_cast<size_t>(touched[g]) * width;
    for (size_t column = 0; column < width; ++column) to[column] += static_cast<T>(sum[column]);
  });
  return groups.size();
}

template <typename T>
void gather_rows(size_t rows, size_t width, const std::int32_t* indices, const T* from, T* to) noexcept {
  parallel_ranges(rows, rows_per_part(width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) std::copy_n(from + static_cast<size_t>(indices[r]) * width, width, to + r * width);
  });
}

template <typename T>
void scatter_rows(size_t rows, size_t width, const std::int32_t* indices, const T* from, T* to) noexcept {
  parallel_ranges(rows, rows_per_part(width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) std::copy_n(from + r * width, width, to + static_cast<size_t>(indices[r]) * width);
  });
}

#define EVENKEEL_INSTANTIATE(T)                                                                         \
  template void embedding_forward(size_t, size_t, const std::int32_t*, const T*, T*) noexcept;          \
  template size_t embedding_backward(size_t, size_t, const std::int32_t*, const T*, T*, std::int32_t*); \
  template void gather_rows(size_t, size_t, const std::int32_t*, const T*, T*) noexcept;                \
  template void scatter_rows(size_t, size_t, const std::int32_t*, const T*, T*) noexcept;
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
