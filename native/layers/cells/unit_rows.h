#pragma once
#include <cstddef>

#include "kernels/gate_kernels.h"
#include "layers/cells/cell.h"

namespace evenkeel {

// How a step's arrays look to a pointwise kernel: rows of the units to be computed. In lanes an array is one row of width · lanes.
template <typename T>
class UnitRows {
 public:
  const size_t rows, units, gate_stride;

  UnitRows(const StepRows<T>& step, size_t hidden) noexcept
      : rows(step.lanes == 0 ? step.rows : 1),
        units(step.units * lanes_of(step)),
        gate_stride(hidden * lanes_of(step)),
        lanes_(lanes_of(step)),
        begin_(step.unit * lanes_of(step)) {}

  // Of an array [rows, width], its columns from `column` on; none for null.
  template <typename U>
  StepArray<U> of(U* data, size_t width, size_t column = 0) const noexcept {
    return data == nullptr ? StepArray<U>() : StepArray<U>{data + column * lanes_ + begin_, width * lanes_};
  }
  // Of one row [width].
  const T* row(const T* data) const noexcept { return data + begin_; }

 private:
  static size_t lanes_of(const StepRows<T>& step) noexcept { return step.lanes == 0 ? 1 : step.lanes; }

  size_t lanes_, begin_;
};

}  // namespace evenkeel
