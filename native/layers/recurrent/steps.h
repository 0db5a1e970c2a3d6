#pragma once
#include <cstddef>
#include <cstdint>

namespace evenkeel {

// Which steps of N sequences, T each, and how.
struct StepOrder {
  size_t n, t;
  const std::int32_t* lengths;  // [N], from 0 to T; null where all are T
  bool reverse;                 // within its length, each sequence from the last step to the first; padding stays where it is
  bool add;                     // to what is there
};

// `width` columns of every step. from, to: [N, T, width] with leading dimensions; not the same memory
template <typename T>
void copy_steps(const StepOrder& order, size_t width, const T* from, size_t ld_from, T* to, size_t ld_to) noexcept;

// Sequences of lengths that differ, in an order of their own: row k of the one is row order[k] of the other.
struct SequenceOrder {
  size_t n, t;
  const std::int32_t* lengths;  // [N] of the rows before, from 0 to T
  const std::int32_t* order;    // [N], every row once
  bool back;                    // out of the order: then what lies beyond a length becomes 0, else it stays what it was
};

// from, to: [N, T, width]; not the same memory
template <typename T>
void reorder_steps(const SequenceOrder& order, size_t width, const T* from, T* to) noexcept;

}  // namespace evenkeel
