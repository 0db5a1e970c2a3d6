#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// What a forward pass keeps for its backward pass, step after step: the cell's arrays and last the columns of the state that are not put
// out. Each step is cache-line-aligned (V8 aligns arrays to 16 bytes): vector stores that straddle a line cost double. In lanes each group
// of sequences has its arrays by itself.
template <typename T>
class Tape {
 public:
  // memory: length() elements; null for a pass that keeps nothing
  Tape(const RecurrentShape& shape, const CellTraits& traits, size_t lanes, T* memory) noexcept
      : units_(shape.h),
        offset_(traits.tape),
        numbers_(traits.tape + shape.hidden_state()),
        hidden_(shape.hidden_state()),
        lanes_(lanes),
        rows_(lanes == 0 ? shape.n : (shape.n + lanes - 1) / lanes * lanes),
        stride_((numbers_ * rows_ + kLine - 1) / kLine * kLine),
        data_(memory == nullptr || numbers_ == 0 ? nullptr : memory + to_next_line(memory)) {}

  size_t stride() const noexcept { return stride_; }
  size_t length(size_t steps) const noexcept { return numbers_ == 0 ? 0 : steps * stride_ + kLine - 1; }

  // Of the sequences from `first` on, which in lanes is a group's first.
  TapeStep<T> at(size_t step, size_t first) const noexcept {
    if (data_ == nullptr) return {};
    T* of_step = data_ + step * stride_;
    if (lanes_ == 0) return {of_step, stride_, rows_, first};
    return {of_step + first * numbers_, stride_, lanes_, 0};
  }
  // A step of the sequences [first, first + rows), which in lanes are a group, all their units.
  StepRows<T> rows(size_t step, size_t first, size_t count, const std::int32_t* exponents = nullptr) const noexcept {
    return {.first = first, .rows = count, .step = step, .units = units_, .lanes = lanes_, .tape = at(step, first), .exponents = exponents};
  }
  // The state's columns from P on [rows, S − P], in lanes [S − P, lanes]; null where there are none.
  T* hidden_state(const StepRows<T>& step) const noexcept { return hidden_ == 0 ? nullptr : step.kept(offset_, hidden_); }

 private:
  static constexpr size_t kLineBytes = 64, kLine = kLineBytes / sizeof(T);
  static size_t to_next_line(const T* memory) noexcept {
    return (kLineBytes - reinterpret_cast<std::uintptr_t>(memory) % kLineBytes) % kLineBytes / sizeof(T);
  }

  size_t units_, offset_, numbers_, hidden_, lanes_, rows_, stride_;
  T* data_;
};

}  // namespace evenkeel
