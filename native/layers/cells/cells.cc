#include "layers/cells/cells.h"

#include <array>

#include "layers/cells/elman.h"
#include "layers/cells/gru.h"
#include "layers/cells/lstm.h"
#include "layers/cells/test_cell.h"

namespace evenkeel {
namespace {

constexpr std::array kCells = {&kElman, &kLstm, &kGru, &kTestCell};

// Both sites of a split step are followed by the cell's biases, which make β superfluous.
bool has_bias(Placement placement, Norm norm) noexcept { return norm == Norm::kLayer && placement != Placement::kSplitPreactivation; }

}  // namespace

const CellKind* find_cell(std::string_view name) noexcept {
  for (const CellKind* kind : kCells) {
    if (kind->name == name) return kind;
  }
  return nullptr;
}

std::vector<ParameterSize> norm_parameters(Placement placement, Norm norm, size_t size) {
  std::vector<ParameterSize> parameters;
  for (size_t site = 0; site < norm_points(placement).size(); ++site) {
    const std::string name = "norm[" + std::to_string(site) + "].";
    parameters.push_back({name + "weight", size});
    if (has_bias(placement, norm)) parameters.push_back({name + "bias", size});
  }
  return parameters;
}

template <typename T>
std::array<NormArrays<T>, kMaxNormSites> norm_arrays(Placement placement, Norm norm, const CellCall<T>& call, size_t first) noexcept {
  std::array<NormArrays<T>, kMaxNormSites> arrays{};
  for (size_t site = 0; site < norm_points(placement).size(); ++site) {
    NormArrays<T>& of = arrays[site];
    of.weight = call.value(first);
    of.dweight = call.gradient(first);
    ++first;
    if (!has_bias(placement, norm)) continue;
    of.bias = call.value(first);
    of.dbias = call.gradient(first);
    ++first;
  }
  return arrays;
}

template std::array<NormArrays<float>, kMaxNormSites> norm_arrays(Placement, Norm, const CellCall<float>&, size_t) noexcept;
template std::array<NormArrays<double>, kMaxNormSites> norm_arrays(Placement, Norm, const CellCall<double>&, size_t) noexcept;

}  // namespace evenkeel
