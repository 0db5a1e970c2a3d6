#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "layers/cells/cell.h"
#include "layers/norm_site.h"

// Every cell by its name, made of a layer's options and parameters.

namespace evenkeel {

// What becomes of an LSTM's cell state: nothing, h_t = o ⊙ tanh(N(c_t)), or c_t = N(f ⊙ c_{t−1} + i ⊙ g).
enum class CellNorm : std::uint8_t { kNone = 0, kOutput = 1, kCarried = 2 };

// A layer's options, of which each cell reads what it knows.
struct CellOptions {
  size_t input, hidden;
  size_t output;  // P
  Nonlinearity nonlinearity = Nonlinearity::kTanh;
  bool bias = true;
  Placement placement = Placement::kNone;
  Norm norm = Norm::kLayer;
  double eps = 1e-5;
  bool per_gate = false;  // whether each gate has statistics of its own
  CellNorm cell_norm = CellNorm::kNone;
  Norm cell_norm_kind = Norm::kLayer;
  double cell_norm_eps = 1e-5;
  bool reset_after = true;  // of a GRU: whether the reset comes after the product
  // In training, see MaskedCell: the probabilities that a number of the operand is dropped, and that one of h or of c is held.
  double recurrent_dropout = 0, zoneout_hidden = 0, zoneout_cell = 0;
  std::uint32_t place = 0;  // among the layers and directions that share a call's key
};

// What the masks of a call are made from.
struct MaskCall {
  philox::Key key;
  size_t first_step;         // that of the pass, in the whole of the time
  const std::int32_t* rows;  // which sequence each of the pass's is [N]
};

struct ParameterSize {
  std::string name;
  size_t count;
};

// What one call of a layer gives its cell.
template <typename T>
struct CellCall {
  size_t sequences;
  bool keeps;              // whether the pass has a tape
  bool in_lanes;           // whether its steps are in lanes
  void* const* values;     // of all parameters, in the layer's order: W_ih [G·H, I], W_hh [G·H, P], then the cell's own
  void* const* gradients;  // likewise; null in a forward pass

  const T* value(size_t parameter) const noexcept { return static_cast<const T*>(values[parameter]); }
  // Null in a forward pass.
  T* gradient(size_t parameter) const noexcept { return gradients == nullptr ? nullptr : static_cast<T*>(gradients[parameter]); }
};

struct CellKind {
  std::string_view name;
  Widths (*widths)(const CellOptions& options);
  CellTraits (*traits)(const CellOptions& options);
  // The cell's own parameters, after W_ih and W_hh.
  std::vector<ParameterSize> (*parameters)(const CellOptions& options);
  std::unique_ptr<Cell<float>> (*make_float)(const CellOptions& options, const CellCall<float>& call);
  std::unique_ptr<Cell<double>> (*make_double)(const CellOptions& options, const CellCall<double>& call);

  // Throws std::bad_alloc.
  template <typename T>
  std::unique_ptr<Cell<T>> make(const CellOptions& options, const CellCall<T>& call) const {
    if constexpr (std::is_same_v<T, float>) {
      return make_float(options, call);
    } else {
      return make_double(options, call);
    }
  }
};

// Null for a name that no cell has.
const CellKind* find_cell(std::string_view name) noexcept;

// The parameters of a placement's sites: of each weight and, where it has one, bias.
std::vector<ParameterSize> norm_parameters(Placement placement, Norm norm, size_t size);

// The same as arrays of a call, from its parameter `first` on.
template <typename T>
std::array<NormArrays<T>, kMaxNormSites> norm_arrays(Placement placement, Norm norm, const CellCall<T>& call, size_t first) noexcept;

}  // namespace evenkeel
