#pragma once
#include <cstddef>

#include "layers/cells/cells.h"

namespace evenkeel {

// A parameter of a cell with its gradient, which is null in a forward pass; both are null where the cell does not have it.
template <typename T>
struct CellParameter {
  const T* value = nullptr;
  T* gradient = nullptr;

  CellParameter from(size_t element) const noexcept {
    return {value == nullptr ? nullptr : value + element, gradient == nullptr ? nullptr : gradient + element};
  }
};

// The parameter at a position of the layer's list.
template <typename T>
CellParameter<T> weight_of(const CellCall<T>& call, size_t index) noexcept {
  return {call.value(index), call.gradient(index)};
}

// A call's parameters of the cell itself, in their order.
template <typename T>
class CellParameters {
 public:
  explicit CellParameters(const CellCall<T>& call) noexcept : call_(call) {}

  // The next one, if it exists.
  CellParameter<T> take(bool exists) noexcept { return exists ? weight_of(call_, next_++) : CellParameter<T>(); }

 private:
  static constexpr size_t kWeights = 2;  // W_ih and W_hh come first

  const CellCall<T>& call_;
  size_t next_ = kWeights;
};

// Whether a placement's normalisations have β: both of a split pre-activation are followed by the biases, which make it superfluous.
inline bool has_norm_bias(const CellOptions& options) noexcept {
  return options.norm == Norm::kLayer && options.placement != Placement::kSplitPreactivation;
}

// γ and, where it has one, β of a normalisation, for CellKind::parameters.
inline void add_norm_parameters(size_t size, bool has_bias, std::vector<ParameterSize>& all) {
  all.push_back({"norm.weight", size});
  if (has_bias) all.push_back({"norm.bias", size});
}

// The numbers of a sequence's step that have their place on the tape so far.
class TapePlan {
 public:
  // Returns how many stand before them.
  size_t take(size_t numbers) noexcept {
    const size_t offset = length_;
    length_ += numbers;
    return offset;
  }
  size_t length() const noexcept { return length_; }

 private:
  size_t length_ = 0;
};

}  // namespace evenkeel
