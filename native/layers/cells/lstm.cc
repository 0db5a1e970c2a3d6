#include "layers/cells/lstm.h"

#include <cmath>
#include <utility>

#include "kernels/kernels.h"
#include "layers/cells/unit_rows.h"

namespace evenkeel {
namespace {

constexpr size_t kGates = 4;

Widths widths(const CellOptions& options) {
  const size_t separate = options.placement == Placement::kSplitPreactivation ? kGates : 0;
  const size_t p = options.output;
  return {.i = options.input, .h = options.hidden, .p = p, .s = p + options.hidden, .g = kGates, .separate = separate};
}

CellTraits traits(const CellOptions& options) {
  const LstmPlan plan(options);
  const bool normalised = plan.gates_norm || plan.operand_norm || plan.hidden_norm || plan.cell_norm;
  return {.tape = plan.tape.length(),
          .direct = true,
          .direct_output = false,
          .across_units = normalised || plan.projection,
          .own_sums = normalised};
}

std::vector<ParameterSize> parameters(const CellOptions& options) {
  const LstmPlan plan(options);
  std::vector<ParameterSize> all;
  if (options.bias) all = {{"biasIh", kGates * options.hidden}, {"biasHh", kGates * options.hidden}};
  if (plan.projection) all.push_back({"weightHr", options.output * options.hidden});
  for (const auto* norm : {&plan.gates_norm, &plan.recurrent_norm, &plan.operand_norm, &plan.hidden_norm}) {
    if (*norm) add_norm_parameters((*norm)->columns, has_norm_bias(options), all);
  }
  if (plan.cell_norm) add_norm_parameters(plan.cell_norm->columns, options.cell_norm_kind == Norm::kLayer, all);
  return all;
}

template <typename T>
std::unique_ptr<Cell<T>> make(const CellOptions& options, const CellCall<T>& call) {
  return std::make_unique<LstmCell<T>>(options, call);
}

}  // namespace

constexpr CellKind kLstm = {"lstm", widths, traits, parameters, make<float>, make<double>};

LstmPlan::LstmPlan(const CellOptions& options) : gates(tape.take(kGates * options.hidden)) {
  const size_t h = options.hidden, p = options.output;
  const auto norm = [&](size_t groups, size_t size) { return StepNormPlan(options.norm, options.eps, groups, size, tape); };
  const auto of_gates = [&] { return options.per_gate ? norm(kGates, h) : norm(1, kGates * h); };
  switch (options.placement) {
    case Placement::kSplitPreactivation:
      gates_norm = of_gates();
      recurrent_norm = of_gates();
      break;
    case Placement::kPreactivation:
      gates_norm = of_gates();
      break;
    case Placement::kRecurrentInput:
      operand_norm = norm(1, p);
      break;
    case Placement::kHidden:
      hidden_norm = norm(1, p);
      break;
    case Placement::kNone:
      break;
  }
  if (options.cell_norm != CellNorm::kNone) cell_norm.emplace(options.cell_norm_kind, options.cell_norm_eps, 1, h, tape);
  if (options.cell_norm == CellNorm::kOutput) normalized_cell = tape.take(h);
  if (p != h) projection.emplace(p, h, tape);
}

template <typename T>
LstmCell<T>::LstmCell(const CellOptions& options, const CellCall<T>& call, const LstmPlan& plan, CellParameters<T> own)
    : Cell<T>(widths(options), traits(options)),
      h_(options.hidden),
      p_(options.output),
      s_(p_ + h_),
      sequences_(call.sequences),
      gates_at_(plan.gates),
      normalized_at_(plan.normalized_cell),
      carries_normalized_(options.cell_norm == CellNorm::kCarried),
      bias_within_norm_(options.placement == Placement::kPreactivation),
      bias_ih_(own.take(options.bias)),
      bias_hh_(own.take(options.bias)),
      bias_(kGates * h_, call.in_lanes, {{0, kGates * h_, bias_ih_.value}, {0, kGates * h_, bias_hh_.value}}),
      zeros_(kGates * h_, false, {}),
      scratch_(kScratches * sequences_ * std::max(h_, p_)) {
  if (plan.projection) projection_.emplace(*plan.projection, own.take(true));
  const auto make = [&](const std::optional<StepNormPlan>& norm, bool has_bias, bool sums_output, std::optional<StepNorm<T>>& to) {
    if (!norm) return;
    const CellParameter<T> weight = own.take(true), bias = own.take(has_bias);
    to.emplace(*norm, sequences_, call.keeps, weight, bias, sums_output);
  };
  make(plan.gates_norm, has_norm_bias(options), false, gates_norm_);
  make(plan.recurrent_norm, has_norm_bias(options), true, recurrent_norm_);
  make(plan.operand_norm, has_norm_bias(options), false, operand_norm_);
  make(plan.hidden_norm, has_norm_bias(options), false, hidden_norm_);
  make(plan.cell_norm, options.cell_norm_kind == Norm::kLayer, false, cell_norm_);
}

// --- what multiplies W_hh ----------------------------------------------------------------------------------------------

template <typename T>
void LstmCell<T>::operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept {
  operand_norm_->forward(step, {previous, s_}, {operand, p_});
}

template <typename T>
void LstmCell<T>::operand_backward(const StepRows<T>& step, const T* /*previous*/, T* doperand, T* dprevious) const noexcept {
  operand_norm_->backward(step, {doperand, p_});
  for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(p_, doperand + r * p_, dprevious + r * s_);
}

template <typename T>
void LstmCell<T>::operand_tangents(const StepRows<T>& step, const T* /*previous*/, size_t count, T* tangents) const noexcept {
  for (size_t k = 0; k < count; ++k) operand_norm_->tangent(step, tangents + k * p_, p_);
}

// --- forward -----------------------------------------------------------------------------------------------------------

template <typename T>
T* LstmCell<T>::saved_gates_x(const StepRows<T>& step) const noexcept {
  T* input = gates_norm_ ? gates_norm_->saved(step) : nullptr;
  return input == nullptr ? step.kept(gates_at_, kGates * h_) : input;
}

template <typename T>
T* LstmCell<T>::saved_gates_h(const StepRows<T>& step) const noexcept {
  return recurrent_norm_ ? recurrent_norm_->saved(step) : nullptr;
}

// a_t, without a bias that is added after the normalisation: as it came or, where it is normalised, in `target`.
template <typename T>
const T* LstmCell<T>::normalize_gates(const ForwardStep<T>& step, T* target) const noexcept {
  if (!gates_norm_) return step.gates_x;
  const size_t width = kGates * h_;
  if (bias_within_norm_) {
    for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(width, bias_.row(), step.gates_x + r * width);
  }
  gates_norm_->forward(step, {step.gates_x, width}, {target, width});
  if (recurrent_norm_) recurrent_norm_->forward_onto(step, {step.gates_h, width}, {target, width});
  return target;
}

template <typename T>
void LstmCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  const UnitRows<T> units(step, h_);
  const size_t width = kGates * h_;
  T* saved = step.kept(gates_at_, width);
  T* gates = saved == nullptr ? step.gates_x : saved;
  const T* products = normalize_gates(step, gates);
  T* cell = cell_norm_ ? cell_norm_->saved(step) : nullptr;
  if (cell_norm_ && cell == nullptr) cell = scratch(step, kCell);
  kernels<T>().lstm_forward(units.rows, units.units,
                            {.gate_stride = units.gate_stride,
                             .products = units.of(products, width),
                             .gates = units.of(gates, width),
                             .bias = units.row((bias_within_norm_ ? zeros_ : bias_).of(step)),
                             .cell_before = units.of(step.previous, s_, p_),
                             .cell = cell_norm_ ? StepArray<T>{cell, h_} : units.of(step.state, s_, p_),
                             .hidden = has_plain_output() ? units.of(step.state, s_) : StepArray<T>(),
                             .output = {step.output == nullptr ? nullptr : step.output + step.unit, step.ld_output}});
  if (!has_plain_output()) output_forward(step, {gates + 3 * h_, width}, cell);
}

// From c_t, which stands in `cell` [rows, H] where it is normalised, to h_t.
template <typename T>
void LstmCell<T>::output_forward(const ForwardStep<T>& step, StepArray<T> gate, T* cell) const noexcept {
  const auto& k = kernels<T>();
  StepArray<T> normalized = {step.state + p_, s_};
  if (cell_norm_) {
    T* saved = step.kept(normalized_at_, h_);
    if (!carries_normalized_) normalized = {saved == nullptr ? scratch(step, kHidden) : saved, h_};
    cell_norm_->forward(step, {cell, h_}, normalized);
    if (!carries_normalized_) k.copy_rows(step.rows, h_, cell, h_, step.state + p_, s_);
  }
  const StepArray<T> state = {step.state, s_}, output = {step.output, step.ld_output};
  if (!projection_ && !hidden_norm_) return k.lstm_output(step.rows, h_, {gate, normalized, state, output});
  T* hidden = projection_ ? projection_->saved(step) : hidden_norm_->saved(step);
  if (hidden == nullptr) hidden = scratch(step, kHidden);
  k.lstm_output(step.rows, h_, {gate, normalized, {hidden, h_}, {}});
  if (projection_) {
    T* projected = hidden_norm_ ? scratch(step, kProjected) : step.state;
    projection_->forward(step, hidden, projected, hidden_norm_ ? p_ : s_);
    hidden = projected;
  }
  if (hidden_norm_) hidden_norm_->forward(step, {hidden, p_}, state);
  if (output) k.copy_rows(step.rows, p_, step.state, s_, step.output, step.ld_output);
}

// --- backward ----------------------------------------------------------------------------------------------------------

template <typename T>
void LstmCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  const UnitRows<T> units(step, h_);
  const size_t width = kGates * h_;
  const T* gates = step.kept(gates_at_, width);
  if (!has_plain_output()) output_backward(step, gates);
  kernels<T>().lstm_backward(units.rows, units.units,
                             {.gate_stride = units.gate_stride,
                              .gates = units.of(gates, width),
                              .cell_before = units.of(step.previous, s_, p_),
                              .cell = units.of(step.state, s_, p_),
                              .dhidden = has_plain_output() ? units.of(step.dstate, s_) : StepArray<T>(),
                              .dcell = units.of(step.dstate, s_, p_),
                              .dgates = units.of(step.dgates_x, width)});
  // Past the product nothing of h goes.
  for (size_t r = 0; r < step.rows && !has_plain_output(); ++r) std::fill_n(step.dstate + r * s_, p_, T{0});
  if (recurrent_norm_) recurrent_norm_->backward(step, {step.dgates_x, width}, step.dgates_h);
  if (gates_norm_) gates_norm_->backward(step, {step.dgates_x, width});
}

// From ∂L/∂h_t to that by o's pre-activation, and by c_t what it adds.
template <typename T>
void LstmCell<T>::output_backward(const BackwardStep<T>& step, const T* gates) const noexcept {
  const auto& k = kernels<T>();
  const size_t width = kGates * h_;
  StepArray<T> dhidden = {step.dstate, s_};
  if (hidden_norm_) {
    T* packed = scratch(step, kProjected);
    k.copy_rows(step.rows, p_, step.dstate, s_, packed, p_);
    hidden_norm_->backward(step, {packed, p_});
    dhidden = {packed, p_};
  }
  if (projection_) {
    T* before = scratch(step, kHidden);
    projection_->backward(step, dhidden.data, dhidden.ld, before);
    dhidden = {before, h_};
  }
  const T* normalized = cell_norm_ && !carries_normalized_ ? step.kept(normalized_at_, h_) : step.state + p_;
  T* dcell = scratch(step, kCell);
  k.lstm_output_backward(step.rows, h_,
                         {.gate = {gates + 3 * h_, width},
                          .cell = {normalized, normalized == step.state + p_ ? s_ : h_},
                          .dhidden = dhidden,
                          .dgate = {step.dgates_x + 3 * h_, width},
                          .dcell = {dcell, h_}});
  // Where LN(c_t) is carried on, what comes from the next step goes through the normalisation too.
  for (size_t r = 0; r < step.rows && carries_normalized_; ++r) {
    T* carried = step.dstate + r * s_ + p_;
    k.add(h_, carried, dcell + r * h_);
    std::fill_n(carried, h_, T{0});
  }
  if (cell_norm_) cell_norm_->backward(step, {dcell, h_});
  for (size_t r = 0; r < step.rows; ++r) k.add(h_, dcell + r * h_, step.dstate + r * s_ + p_);
}

// --- tangents ----------------------------------------------------------------------------------------------------------

template <typename T>
void LstmCell<T>::tangents(const TangentStep<T>& step) const noexcept {
  for (size_t k = 0; k < step.count; ++k) {
    T* gates = step.gates_h + k * kGates * h_;
    if (gates_norm_) (recurrent_norm_ ? recurrent_norm_ : gates_norm_)->tangent(step, gates, kGates * h_);
    tangent(step, gates, step.tangents + k * s_);
  }
}

// dgates: of a_t [4H]   tangent: of state_{t−1}, then of state_t [S]
template <typename T>
void LstmCell<T>::tangent(const TangentStep<T>& step, const T* dgates, T* tangent) const noexcept {
  const T* i = step.kept(gates_at_, kGates * h_);
  const T *f = i + h_, *g = f + h_, *o = g + h_;
  const T* before = step.previous + p_;
  T* dcell = tangent + p_;
  T* dnormalized = scratch(step, kCell);
  const auto sigmoid_slope = [](T s) { return s * (1 - s); };
  for (size_t u = 0; u < h_; ++u) {
    dcell[u] = f[u] * dcell[u] + sigmoid_slope(f[u]) * dgates[h_ + u] * before[u] + sigmoid_slope(i[u]) * dgates[u] * g[u] +
               i[u] * (1 - g[u] * g[u]) * dgates[2 * h_ + u];
  }
  std::copy_n(dcell, h_, dnormalized);
  if (cell_norm_) cell_norm_->tangent(step, dnormalized, h_);
  if (carries_normalized_) std::copy_n(dnormalized, h_, dcell);
  const T* normalized = cell_norm_ && !carries_normalized_ ? step.kept(normalized_at_, h_) : step.state + p_;
  T* dhidden = projection_ ? scratch(step, kHidden) : tangent;
  for (size_t u = 0; u < h_; ++u) {
    const T tanh_c = std::tanh(normalized[u]);
    dhidden[u] = tanh_c * sigmoid_slope(o[u]) * dgates[3 * h_ + u] + o[u] * (1 - tanh_c * tanh_c) * dnormalized[u];
  }
  if (projection_) projection_->tangent(dhidden, tangent);
  if (hidden_norm_) hidden_norm_->tangent(step, tangent, p_);
}

// --- the gradients of the cell's own parameters ------------------------------------------------------------------------

template <typename T>
void LstmCell<T>::accumulate_sums(const T* dgates_x, const T* /*dgates_h*/) const noexcept {
  for (const auto* norm : {&gates_norm_, &recurrent_norm_, &operand_norm_, &hidden_norm_, &cell_norm_}) {
    if (*norm) (*norm)->accumulate();
  }
  for (T* gradient : {bias_ih_.gradient, bias_hh_.gradient}) {
    if (gradient == nullptr) continue;
    // After the norms of both products, a bias has the gradient of their sum.
    if (recurrent_norm_) {
      recurrent_norm_->add_output_gradient(gradient);
    } else {
      kernels<T>().add(kGates * h_, dgates_x, gradient);
    }
  }
}

template <typename T>
void LstmCell<T>::after_backward(const Tape<T>& tape, size_t steps, size_t chunk_steps) const {
  if (projection_) projection_->accumulate(tape, sequences_, steps, chunk_steps);
}

template class LstmCell<float>;
template class LstmCell<double>;

}  // namespace evenkeel
