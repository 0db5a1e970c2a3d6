#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "kernels/kernels.h"

namespace evenkeel {

// values *= 2^exponent: exact, unless a result is too large for T, and then infinite, or too small, and then zero.
template <typename T>
void scale_by_power_of_two(size_t count, int exponent, T* values) noexcept {
  constexpr int kMost = std::numeric_limits<T>::max_exponent - 2;  // of which 2^± is a normal number
  // Three times that takes the smallest number beyond the largest, and back.
  for (int left = std::clamp(exponent, -3 * kMost, 3 * kMost); left != 0;) {
    const int now = std::clamp(left, -kMost, kMost);
    kernels<T>().scale(count, std::ldexp(T{1}, now), values);
    left -= now;
  }
}

}  // namespace evenkeel
