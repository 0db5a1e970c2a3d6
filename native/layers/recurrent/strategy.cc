#include "layers/recurrent/strategy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>

namespace evenkeel {
namespace {

template <typename T>
constexpr std::array kStrategies = {blas_strategy<T>, panels_strategy<T>, single_strategy<T>, columns_strategy<T>, lanes_strategy<T>};
enum Index : int { kAuto = -1, kBlas, kPanels, kSingle, kColumns, kLanes };

std::atomic<int> forced{kAuto};

// Where lanes were measured to win over panels. A lane that is left over costs as much as a full one: with up to 20 units panels are slow
// enough for that not to matter. 16 lanes are those of float in the widest vectors, taken for every target and type.
bool suits_lanes(const RecurrentShape& shape) noexcept {
  const size_t lanes = (shape.n + 15) / 16 * 16;
  const bool well_filled = 8 * shape.n >= 7 * lanes;
  return shape.n >= 16 && shape.i <= 64 && (shape.h <= 20 || (shape.h <= 50 && well_filled));
}

Index choose(const RecurrentShape& shape) noexcept {
  // Elements beyond which the caches that threads share cannot hand all weights to each of them at every step.
  constexpr size_t kManyWeights = size_t{3} << 20;
  if (shape.n == 1) return kSingle;
  if (shape.gates() * (shape.p + shape.i) > kManyWeights) return kColumns;
  // So few sequences take longer to read a step's recurrent weights than to multiply them: the threads share them, where they are more than
  // one thread's cache holds.
  constexpr size_t kFewSequences = 3, kOneCache = size_t{192} << 10;
  if (shape.n <= kFewSequences && shape.gates() * shape.p > kOneCache) return kColumns;
  if (suits_lanes(shape)) return kLanes;
  return kPanels;
}

}  // namespace

template <typename T>
ScanStrategy<T> scan_strategy(const RecurrentShape& shape, const CellTraits& traits) noexcept {
  int index = forced.load(std::memory_order_relaxed);
  if (index == kAuto) index = choose(shape);
  if (index == kLanes && traits.across_units) index = kPanels;
  return kStrategies<T>[static_cast<size_t>(index)]();
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

template ScanStrategy<float> scan_strategy(const RecurrentShape&, const CellTraits&) noexcept;
template ScanStrategy<double> scan_strategy(const RecurrentShape&, const CellTraits&) noexcept;

}  // namespace evenkeel
