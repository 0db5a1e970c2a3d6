#include "layers/state_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/kernels.h"
#include "layers/power_of_two.h"

namespace evenkeel {
namespace {

// The power of two of a gradient moves when its norm leaves 2^±this: 2^±48 for float, 2^±384 for double, whose squares double still holds.
template <typename T>
constexpr int kRange = std::numeric_limits<T>::max_exponent * 3 / 8;

// The largest power that is kept: far beyond what the steps of a pass add up to, and what an int holds with either sign. An array of
// exponents is the caller's, and may hold anything.
constexpr std::int64_t kMostPower = 1 << 30;

std::int32_t kept_power(std::int64_t power) noexcept { return static_cast<std::int32_t>(std::clamp(power, -kMostPower, kMostPower)); }

// Of any size of elements: where the sum of squares leaves the range of double, the elements are scaled first.
template <typename T>
double norm_of(size_t count, const T* values) noexcept {
  const double squares = kernels<T>().sum_squares(count, values);
  if (squares > 0x1p-960 && squares < std::numeric_limits<double>::infinity()) return std::sqrt(squares);
  const double largest = kernels<T>().max_abs(count, values);
  if (largest == 0 || !std::isfinite(largest)) return largest;
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += std::pow(static_cast<double>(values[i]) / largest, 2);
  return largest * std::sqrt(sum);
}

}  // namespace

template <typename T>
StateGradient<T>::StateGradient(size_t sequences, size_t steps, const Widths& widths, const StateGradientOptions& options)
    : sequences_(sequences),
      steps_(steps),
      output_(widths.p),
      state_(widths.s),
      options_(options),
      limited_(sequences),
      shares_(options.exponents == nullptr ? 0 : sequences * widths.p) {
  std::fill_n(limited_.get(), sequences, size_t{0});
}

template <typename T>
Rows<T> StateGradient<T>::scaled_share(const StepRows<T>& step, Rows<T> doutput, std::initializer_list<Carried<T>> carried) const noexcept {
  T* shares = shares_.get() + step.first * output_;
  for (size_t r = 0; r < step.rows; ++r) {
    T* share = shares + r * output_;
    std::copy_n(doutput.data + r * doutput.stride, output_, share);
    if (step.exponent(r) == 0 || kernels<T>().max_abs(output_, share) == 0) continue;
    std::int32_t& exponent = options_.exponents[step.first + r];
    if (exponent < 0) {
      for (const Carried<T>& rows : carried) {
        if (rows.data != nullptr) scale_by_power_of_two(rows.width, exponent, rows.data + r * rows.width);
      }
      exponent = 0;
    }
    scale_by_power_of_two(output_, -exponent, share);
  }
  return {shares, output_};
}

template <typename T>
void StateGradient<T>::complete_rows(const StepRows<T>& step, T* dstate) const noexcept {
  for (size_t r = 0; r < step.rows; ++r) complete_row(step.first + r, step.step, dstate + r * state_);
}

template <typename T>
void StateGradient<T>::complete_row(size_t sequence, size_t t, T* dstate) const noexcept {
  const int exponent = options_.exponents == nullptr ? 0 : kept_power(options_.exponents[sequence]);
  double norm = norm_of(state_, dstate);
  if (options_.log_norms != nullptr) record(sequence, t, dstate, norm, exponent);
  const double limit = std::ldexp(options_.limit, -exponent);
  if (norm > limit) {
    scale_by_ratio(state_, limit, norm, dstate);
    norm = limit;
    ++limited_.get()[sequence];
  }
  if (options_.exponents == nullptr || norm == 0 || !std::isfinite(norm)) return;
  const int power = std::ilogb(norm);
  if (std::abs(power) <= kRange<T>) return;
  scale_by_power_of_two(state_, -power, dstate);
  options_.exponents[sequence] = kept_power(std::int64_t{exponent} + power);
}

template <typename T>
void StateGradient<T>::record(size_t sequence, size_t t, const T* dstate, double norm, int exponent) const noexcept {
  const size_t columns = state_ == output_ ? 1 : 3;
  double* to = options_.log_norms + (sequence * steps_ + t) * columns;
  const auto log_of = [&](double value) { return std::log(value) + exponent * std::numbers::ln2; };
  to[0] = log_of(norm);
  if (columns == 1) return;
  to[1] = log_of(norm_of(output_, dstate));
  to[2] = log_of(norm_of(state_ - output_, dstate + output_));
}

template <typename T>
void StateGradient<T>::unscale_rows(const StepRows<T>& step, const Carried<T>& gradients) const noexcept {
  for (size_t r = 0; r < step.rows; ++r) {
    if (step.exponent(r) != 0) scale_by_power_of_two(gradients.width, step.exponent(r), gradients.data + r * gradients.width);
  }
}

template <typename T>
size_t StateGradient<T>::limited() const noexcept {
  return std::accumulate(limited_.get(), limited_.get() + sequences_, size_t{0});
}

template class StateGradient<float>;
template class StateGradient<double>;

}  // namespace evenkeel
