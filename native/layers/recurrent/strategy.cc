#include "layers/recurrent/strategy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>

namespace evenkeel {
namespace {

template <typename T>
constexpr std::array kStrategies = {blas_strategy<T>, panels_strategy<T>, single_strategy<T>, columns_strategy<T>};
enum Index : int { kAuto = -1, kBlas, kPanels, kSingle, kColumns };

std::atomic<int> forced{kAuto};

Index choose(const RecurrentShape& shape) noexcept {
  // Elements beyond which the caches that threads share cannot hand all weights to each of them at every step.
  constexpr size_t kManyWeights = size_t{3} << 20;
  if (shape.n == 1) return kSingle;
  if (shape.h * (shape.h + shape.i) > kManyWeights) return kColumns;
  return kPanels;
}

}  // namespace

template <typename T>
ScanStrategy<T> scan_strategy(const RecurrentShape& shape) noexcept {
  const int index = forced.load(std::memory_order_relaxed);
  return kStrategies<T>[static_cast<size_t>(index == kAuto ? choose(shape) : index)]();
}

void force_scan_strategy(std::string_view name) {
  std::string names = "auto";
  if (name == names) return forced.store(kAuto, std::memory_order_relaxed);
  for (size_t index = 0; index < kStrategies<float>.size(); ++index) {
    const char* known = kStrategies<float>[index]().name;
    if (name == known) return forced.store(static_cast<int>(index), std::memory_order_relaxed);
    names += std::string(", ") + known;
  }
  throw std::invalid_argument("expected one of " + names + ", got \"" + std::string(name.substr(0, 40)) + "\".");
}

template ScanStrategy<float> scan_strategy(const RecurrentShape&) noexcept;
template ScanStrategy<double> scan_strategy(const RecurrentShape&) noexcept;

}  // namespace evenkeel
