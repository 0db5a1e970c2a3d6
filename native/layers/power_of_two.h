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

// values *= numerator / denominator, a quotient that T, or double, may not hold: then by its mantissa first, and by its power of two.
template <typename T>
void scale_by_ratio(size_t count, double numerator, double denominator, T* values) noexcept {
  const double ratio = numerator / denominator;
  const bool holds = std::abs(ratio) >= static_cast<double>(std::numeric_limits<T>::min()) &&
                     std::abs(ratio) <= static_cast<double>(std::numeric_limits<T>::max());
  if (holds || numerator == 0 || !std::isfinite(numerator) || !std::isfinite(denominator) || denominator == 0) {
    return kernels<T>().scale(count, static_cast<T>(ratio), values);
  }
  int power = 0, below = 0;
  const double mantissa = std::frexp(numerator, &power) / std::frexp(denominator, &below);
  kernels<T>().scale(count, static_cast<T>(mantissa), values);
  scale_by_power_of_two(count, power - below, values);
}

}  // namespace evenkeel
