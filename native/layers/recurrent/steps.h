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

}  // namespace evenkeel
