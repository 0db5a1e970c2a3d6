#include "kernels/extreme_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace evenkeel {
namespace {

// The row's power of two where its statistics are scaled.
template <typename T>
constexpr int kScale = std::numeric_limits<T>::max_exponent / 2;

template <class Flagged>
std::uint64_t mask_of(size_t rows, Flagged&& flagged) {
  std::uint64_t mask = 0;
  for (size_t r = 0; r < rows; ++r) mask |= std::uint64_t{flagged(r)} << r;
  return mask;
}

template <typename T>
bool all_equal(size_t size, const T* values, const T* factors) {
  const auto at = [&](size_t i) { return factors == nullptr ? values[i] : values[i] * factors[i]; };
  for (size_t i = 1; i < size; ++i) {
    if (at(i) != at(0)) return false;
  }
  return true;
}

// The mean of value(i), exact where all are equal.
template <class Value>
double mean_of(size_t size, Value&& value) {
  const double n = static_cast<double>(size);
  double sum = 0, rest = 0;
  for (size_t i = 0; i < size; ++i) sum += value(i);
  for (size_t i = 0; i < size; ++i) rest += value(i) - sum / n;
  return sum / n + rest / n;
}

template <typename T>
void statistics_of(bool centred, size_t size, T eps, const T* input, const RowStatistics<T>& row) {
  T largest = 0;
  for (size_t i = 0; i < size; ++i) {
    if (!std::isfinite(input[i])) return;
    largest = std::max(largest, std::abs(input[i]));
  }
  const double wide_eps = static_cast<double>(eps);
  if (largest == 0 || (centred && all_equal<T>(size, input, nullptr))) {
    if (centred) {
      *row.mean = input[0];
      *row.residual = 0;
    }
    *row.rstd = static_cast<T>(1 / std::sqrt(wide_eps));
    return;
  }
  // Of the row times 2^−power, whose elements are below 1.
  const int power = std::ilogb(largest) + 1;
  const auto element = [&](size_t i) { return std::ldexp(static_cast<double>(input[i]), -power); };
  const double mean = centred ? mean_of(size, element) : 0;
  double variance = mean_of(size, [&](size_t i) { return (element(i) - mean) * (element(i) - mean); });
  // Where the row is small it is ε that must not be scaled, which would overflow.
  if (power <= 0) variance = std::ldexp(variance, 2 * power) + wide_eps;
  if (power > 0) variance += std::ldexp(wide_eps, -2 * power);
  const bool scaled = power > std::numeric_limits<T>::max_exponent - 2;
  const int scale = scaled ? kScale<T> : 0;
  const double rstd = std::ldexp(1 / std::sqrt(variance), scale - std::max(power, 0));
  *row.rstd = static_cast<T>(scaled ? -rstd : rstd);
  if (!centred) return;
  const double whole = std::ldexp(mean, power - scale);
  *row.mean = static_cast<T>(whole);
  *row.residual = static_cast<T>(whole - static_cast<double>(*row.mean));
}

// â of one row from its statistics, and what these were scaled by.
template <typename T>
struct NormalizedRow {
  const T* input;
  double mean, rstd;
  int scale;

  NormalizedRow(bool centred, const T* elements, const RowStatistics<T>& row)
      : input(elements),
        mean(centred ? static_cast<double>(*row.mean) + static_cast<double>(*row.residual) : 0),
        rstd(std::abs(static_cast<double>(*row.rstd))),
        scale(*row.rstd < 0 ? kScale<T> : 0) {}

  double operator[](size_t i) const { return (std::ldexp(static_cast<double>(input[i]), -scale) - mean) * rstd; }
};

}  // namespace

template <typename T>
void extreme_statistics(bool centred, size_t rows, size_t size, T eps, const T* input, const RowStatistics<T>& statistics,
                        const T* flags) noexcept {
  for (size_t r = 0; r < rows; ++r) {
    if (flags[r] != 0) {
      statistics_of(centred, size, eps, input + r * size, {statistics.mean + r, statistics.residual + r, statistics.rstd + r});
    }
  }
}

template <typename T>
std::uint64_t scaled_rows(size_t rows, const T* rstd) noexcept {
  return mask_of(rows, [&](size_t r) { return rstd[r] < 0; });
}

template <typename T>
std::uint64_t constant_rows(size_t rows, size_t size, const T* input, const T* weight, const T* doutput, const T* flags) noexcept {
  // Gradients first: few are equal, while a state of zeros is a constant row at every first step.
  return mask_of(rows, [&](size_t r) {
    return flags[r] != 0 && all_equal(size, doutput + r * size, weight) && all_equal<T>(size, input + r * size, nullptr);
  });
}

template <typename T>
void normalize_extreme_row(bool centred, size_t size, const T* input, const T* weight, const T* bias, T* output,
                           const RowStatistics<T>& row) noexcept {
  const NormalizedRow<T> normalized(centred, input, row);
  for (size_t i = 0; i < size; ++i) {
    double y = normalized[i];
    if (weight != nullptr) y *= static_cast<double>(weight[i]);
    if (bias != nullptr) y += static_cast<double>(bias[i]);
    output[i] = static_cast<T>(y);
  }
}

template <typename T>
void extreme_row_backward(bool centred, size_t size, const T* input, const T* weight, const RowStatistics<T>& row, const T* doutput,
                          T* dinput, T* dweight, T* dbias) noexcept {
  const NormalizedRow<T> normalized(centred, input, row);
  const auto g = [&](size_t i) { return static_cast<double>(doutput[i]) * (weight == nullptr ? 1 : static_cast<double>(weight[i])); };
  const double shift = centred ? mean_of(size, g) : 0;
  const double slope = mean_of(size, [&](size_t i) { return g(i) * normalized[i]; });
  for (size_t i = 0; i < size; ++i) {
    const double a = normalized[i];
    const T dy = doutput[i];
    if (dinput != nullptr) dinput[i] = static_cast<T>(std::ldexp((g(i) - shift - a * slope) * normalized.rstd, -normalized.scale));
    if (dweight != nullptr) dweight[i] += static_cast<T>(static_cast<double>(dy) * a);
    if (dbias != nullptr) dbias[i] += dy;
  }
}

#define EVENKEEL_INSTANTIATE(T)                                                                                          \
  template void extreme_statistics(bool, size_t, size_t, T, const T*, const RowStatistics<T>&, const T*) noexcept;       \
  template std::uint64_t scaled_rows(size_t, const T*) noexcept;                                                         \
  template std::uint64_t constant_rows(size_t, size_t, const T*, const T*, const T*, const T*) noexcept;                 \
  template void normalize_extreme_row(bool, size_t, const T*, const T*, const T*, T*, const RowStatistics<T>&) noexcept; \
  template void extreme_row_backward(bool, size_t, const T*, const T*, const RowStatistics<T>&, const T*, T*, T*, T*) noexcept;
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
