#include "layers/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "layers/partial_sums.h"
#include "layers/power_of_two.h"

namespace evenkeel {
namespace {

template <typename T>
double max_abs(size_t count, const T* values) {
  double largest = 0;
  for (size_t begin = 0; begin < count && !std::isnan(largest); begin += kElementsPerPart) {
    const double part = kernels<T>().max_abs(std::min(kElementsPerPart, count - begin), values + begin);
    if (!(part <= largest)) largest = part;
  }
  return largest;
}

// An array that may be null from an element on.
template <typename T>
T* from(T* array, size_t begin) {
  return array == nullptr ? nullptr : array + begin;
}

// x ≥ 0 as T, denormals too, which a conversion flushes to zero.
template <typename T>
T nearest_value(double x) {
  if constexpr (std::is_same_v<T, float>) {
    if (x < 0x1p-126) return std::bit_cast<float>(static_cast<std::uint32_t>(std::nearbyint(x * 0x1p149)));
  }
  return static_cast<T>(x);
}

template <typename T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

// Numbers above zero are in the order of their bits, infinity and NaN after all of them: one addition carries into the sign's place what is
// beyond the limit. `ignored` is the sign's place, or 0 where a sign is beyond every limit.
template <typename T>
bool any_beyond(size_t count, const T* values, T limit, Bits<T> ignored) {
  constexpr Bits<T> kSign = Bits<T>{1} << (8 * sizeof(T) - 1);
  constexpr size_t kLanes = 16;  // loops of this many become vectors
  const Bits<T> carry = kSign - 1 - std::bit_cast<Bits<T>>(limit);
  const auto look = [=](T value) {
    const Bits<T> bits = std::bit_cast<Bits<T>>(value) & ~ignored;
    return bits | (bits + carry);
  };
  Bits<T> beyond[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) beyond[lane] |= look(values[i + lane]);
  }
  for (; i < count; ++i) beyond[0] |= look(values[i]);
  for (size_t lane = 1; lane < kLanes; ++lane) beyond[0] |= beyond[lane];
  return (beyond[0] & kSign) != 0;
}

}  // namespace

template <typename T>
double norm_term(size_t count, const T* values, NormOrder order) {
  if (order == NormOrder::kMax) return max_abs(count, values);
  const auto kernel = order == NormOrder::kSum ? kernels<T>().sum_abs : kernels<T>().sum_squares;
  return sum_of_parts(count, kElementsPerPart, [&](size_t begin, size_t end) { return kernel(end - begin, values + begin); });
}

template <typename T>
bool is_finite(size_t count, const T* values) {
  return sum_of_parts(count, kElementsPerPart, [&](size_t begin, size_t end) {
           return std::isfinite(kernels<T>().max_abs(end - begin, values + begin)) ? 0.0 : 1.0;
         }) == 0;
}

template <typename T>
bool is_within(size_t count, const T* values, T limit, bool positive) {
  const Bits<T> ignored = positive ? 0 : Bits<T>{1} << (8 * sizeof(T) - 1);
  return sum_of_parts(count, kElementsPerPart,
                      [&](size_t begin, size_t end) { return any_beyond(end - begin, values + begin, limit, ignored) ? 1.0 : 0.0; }) == 0;
}

template <typename T>
void fill_zero(size_t count, T* values) noexcept {
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) { std::fill(values + begin, values + end, T{0}); });
}

template <typename T>
void copy(size_t count, const T* from, T* to) noexcept {
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) { std::copy(from + begin, from + end, to + begin); });
}

template <typename T>
void scale(size_t count, double numerator, double denominator, T* values) noexcept {
  parallel_ranges(count, kElementsPerPart,
                  [&](size_t begin, size_t end) { scale_by_ratio(end - begin, numerator, denominator, values + begin); });
}

template <typename T>
void clamp(size_t count, double limit, T* values) noexcept {
  const T nearest = nearest_value<T>(limit);
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) { kernels<T>().clamp(end - begin, nearest, values + begin); });
}

template <typename T>
void sgd_step(size_t count, const SgdStep& step, T* value, const T* grad, T* momentum_buffer) noexcept {
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) {
    kernels<T>().sgd_step(end - begin, step, value + begin, grad + begin, from(momentum_buffer, begin));
  });
}

template <typename T>
void adam_step(size_t count, const AdamStep& step, T* value, const T* grad, T* first_moment, T* second_moment,
               T* largest_second_moment) noexcept {
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) {
    kernels<T>().adam_step(end - begin, step, value + begin, grad + begin, first_moment + begin, second_moment + begin,
                           from(largest_second_moment, begin));
  });
}

template <typename T>
void rmsprop_step(size_t count, const RmspropStep& step, T* value, const T* grad, T* square_average, T* momentum_buffer,
                  T* grad_average) noexcept {
  parallel_ranges(count, kElementsPerPart, [&](size_t begin, size_t end) {
    kernels<T>().rmsprop_step(end - begin, step, value + begin, grad + begin, square_average + begin, from(momentum_buffer, begin),
                              from(grad_average, begin));
  });
}

#define EVENKEEL_INSTANTIATE(T)                                                        \
  template double norm_term(size_t, const T*, NormOrder);                              \
  template bool is_finite(size_t, const T*);                                           \
  template bool is_within(size_t, const T*, T, bool);                                  \
  template void fill_zero(size_t, T*) noexcept;                                        \
  template void copy(size_t, const T*, T*) noexcept;                                   \
  template void scale(size_t, double, double, T*) noexcept;                            \
  template void clamp(size_t, double, T*) noexcept;                                    \
  template void sgd_step(size_t, const SgdStep&, T*, const T*, T*) noexcept;           \
  template void adam_step(size_t, const AdamStep&, T*, const T*, T*, T*, T*) noexcept; \
  template void rmsprop_step(size_t, const RmspropStep&, T*, const T*, T*, T*, T*) noexcept;
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
