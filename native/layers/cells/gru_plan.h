#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "layers/cells/cells.h"
#include "layers/cells/step_norm.h"
#include "layers/cells/step_product.h"

namespace evenkeel {

// What a GRU keeps of a step, and where.
struct GruPlan {
  TapePlan tape;
  size_t gates;                                // r, z, n
  size_t recurrent = 0;                        // reset after the product: what r is multiplied with
  std::optional<StepNormPlan> gates_norm;      // of the gates' pre-activations, or of x_t W_ihᵀ
  std::optional<StepNormPlan> recurrent_norm;  // of h_{t−1} W_hhᵀ, or of n's share of it
  std::optional<StepNormPlan> candidate_norm;  // reset before the product: of n's pre-activation, or of its share from h_{t−1}
  std::optional<StepNormPlan> operand_norm;    // of h_{t−1}
  std::optional<StepNormPlan> hidden_norm;     // of h_t
  std::optional<StepProductPlan> reset_product;

  explicit GruPlan(const CellOptions& options);
};

// Of r, z and n; those that have x_t W_ihᵀ and operand_t W_hhᵀ separately.
constexpr size_t kGruGates = 3;
size_t gru_separate_gates(const CellOptions& options) noexcept;

// As of CellKind.
Widths gru_widths(const CellOptions& options);
CellTraits gru_traits(const CellOptions& options);
std::vector<ParameterSize> gru_parameters(const CellOptions& options);

}  // namespace evenkeel
