#include "layers/cells/gru_plan.h"

namespace evenkeel {
namespace {

// Of the pre-activation: those of r, z and n, where the reset comes after the product of both sides of n.
size_t preactivation_columns(const CellOptions& options) { return (kGruGates + (options.reset_after ? 1 : 0)) * options.hidden; }

}  // namespace

GruPlan::GruPlan(const CellOptions& options) : gates(tape.take(kGruGates * options.hidden)) {
  const size_t h = options.hidden;
  const auto norm = [&](std::initializer_list<size_t> sizes) { return StepNormPlan(options.norm, options.eps, sizes, tape); };
  const auto of_all = [&] { return options.per_gate ? norm({h, h, h}) : norm({kGruGates * h}); };
  const auto of_sigmoids = [&] { return options.per_gate ? norm({h, h}) : norm({2 * h}); };
  if (options.reset_after) {
    recurrent = tape.take(h);
  } else {
    reset_product.emplace(h, h, tape);
  }
  switch (options.placement) {
    case Placement::kPreactivation:
      if (options.reset_after) {
        gates_norm = options.per_gate ? norm({h, h, h}) : norm({2 * h, h});
        recurrent_norm = norm({h});
      } else {
        gates_norm = of_sigmoids();
        candidate_norm = norm({h});
      }
      break;
    case Placement::kSplitPreactivation:
      gates_norm = of_all();
      recurrent_norm = options.reset_after ? of_all() : of_sigmoids();
      if (!options.reset_after) candidate_norm = norm({h});
      break;
    case Placement::kRecurrentInput:
      operand_norm = norm({h});
      break;
    case Placement::kHidden:
      hidden_norm = norm({h});
      break;
    case Placement::kNone:
      break;
  }
}

size_t gru_separate_gates(const CellOptions& options) noexcept {
  return options.placement == Placement::kSplitPreactivation ? kGruGates : 1;
}

Widths gru_widths(const CellOptions& options) {
  const size_t h = options.hidden;
  return {.i = options.input,
          .h = h,
          .p = h,
          .s = h,
          .g = kGruGates,
          .separate = gru_separate_gates(options),
          .own = options.reset_after ? size_t{0} : size_t{1}};
}

CellTraits gru_traits(const CellOptions& options) {
  const GruPlan plan(options);
  const bool normalised = plan.gates_norm || plan.operand_norm || plan.hidden_norm;
  return {.tape = plan.tape.length(), .direct = true, .across_units = normalised || plan.reset_product, .own_sums = normalised};
}

std::vector<ParameterSize> gru_parameters(const CellOptions& options) {
  const size_t width = kGruGates * options.hidden;
  std::vector<ParameterSize> all;
  if (options.bias) all = {{"biasIh", width}, {"biasHh", width}};
  switch (options.placement) {
    case Placement::kPreactivation:
      add_norm_parameters(preactivation_columns(options), has_norm_bias(options), all);
      break;
    case Placement::kSplitPreactivation:
      add_norm_parameters(width, false, all);
      add_norm_parameters(width, false, all);
      break;
    case Placement::kRecurrentInput:
    case Placement::kHidden:
      add_norm_parameters(options.hidden, has_norm_bias(options), all);
      break;
    case Placement::kNone:
      break;
  }
  return all;
}

}  // namespace evenkeel
