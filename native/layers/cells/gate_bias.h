#pragma once
#include <algorithm>
#include <cstddef>
#include <initializer_list>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/cells/cell.h"

namespace evenkeel {

// What is added to the products of a step [size]; for lanes each element stands in all of a vector.
template <typename T>
class GateBias {
 public:
  struct Part {
    size_t column, count;
    const T* values;  // [count]; null for zeros
  };

  // The sum of the parts.   Throws std::bad_alloc.
  GateBias(size_t size, bool in_lanes, std::initializer_list<Part> parts)
      : row_(size), lanes_(in_lanes ? size * kernels<T>().lane_count() : 0) {
    std::fill_n(row_.get(), size, T{0});
    for (const Part& part : parts) {
      if (part.values != nullptr) kernels<T>().add(part.count, part.values, row_.get() + part.column);
    }
    if (!in_lanes) return;
    const size_t lanes = kernels<T>().lane_count();
    for (size_t i = 0; i < size; ++i) std::fill_n(lanes_.get() + i * lanes, lanes, row_.get()[i]);
  }

  // As a step's layout has it.
  const T* of(const StepRows<T>& step) const noexcept { return step.lanes == 0 ? row_.get() : lanes_.get(); }
  const T* row() const noexcept { return row_.get(); }

 private:
  AlignedBuffer<T> row_, lanes_;
};

}  // namespace evenkeel
