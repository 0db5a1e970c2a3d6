#include "layers/cells/gru.h"

#include <algorithm>

#include "kernels/kernels.h"
#include "layers/cells/unit_rows.h"

namespace evenkeel {
namespace {

constexpr size_t kGates = kGruGates;
constexpr size_t kSigmoids = 2;  // r and z, which come first

template <typename T>
std::unique_ptr<Cell<T>> make(const CellOptions& options, const CellCall<T>& call) {
  return std::make_unique<GruCell<T>>(options, call);
}

}  // namespace

constexpr CellKind kGru = {"gru", gru_widths, gru_traits, gru_parameters, make<float>, make<double>};

template <typename T>
GruCell<T>::GruCell(const CellOptions& options, const CellCall<T>& call, const GruPlan& plan, CellParameters<T> own)
    : Cell<T>(gru_widths(options), gru_traits(options)),
      h_(options.hidden),
      sequences_(call.sequences),
      separate_(gru_separate_gates(options)),
      gates_at_(plan.gates),
      recurrent_at_(plan.recurrent),
      splits_(options.placement == Placement::kSplitPreactivation),
      bias_within_norm_(options.placement == Placement::kPreactivation),
      bias_ih_(own.take(options.bias)),
      bias_hh_(own.take(options.bias)),
      bias_((kGates + 1) * h_, call.in_lanes,
            {{0, kGates * h_, bias_ih_.value},
             {0, kSigmoids * h_, bias_hh_.value},
             {(options.reset_after ? kGates : kSigmoids) * h_, h_, bias_hh_.from(kSigmoids * h_).value}}),
      zeros_((kGates + 1) * h_, false, {}),
      scratch_(kScratches * sequences_ * h_) {
  const CellParameter<T> weight = own.take(options.placement != Placement::kNone), bias = own.take(weight.value && has_norm_bias(options));
  const CellParameter<T> weight_hh = own.take(splits_);
  const auto make = [&](const std::optional<StepNormPlan>& norm, const CellParameter<T>& gamma, const CellParameter<T>& beta,
                        std::optional<StepNorm<T>>& to) {
    if (norm) to.emplace(*norm, sequences_, call.keeps, gamma, beta, splits_);
  };
  make(plan.gates_norm, weight, bias, gates_norm_);
  const size_t n = kSigmoids * h_;
  if (splits_) {
    make(plan.recurrent_norm, weight_hh, {}, recurrent_norm_);
    make(plan.candidate_norm, weight_hh.from(n), {}, candidate_norm_);
  } else {
    make(plan.recurrent_norm, weight.from(n + h_), bias.from(n + h_), recurrent_norm_);
    make(plan.candidate_norm, weight.from(n), bias.from(n), candidate_norm_);
  }
  make(plan.operand_norm, weight, bias, operand_norm_);
  make(plan.hidden_norm, weight, bias, hidden_norm_);
  if (plan.reset_product) reset_product_.emplace(*plan.reset_product, weight_of(call, 1).from(n * h_));
}

// --- what multiplies W_hh ----------------------------------------------------------------------------------------------

template <typename T>
void GruCell<T>::operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept {
  operand_norm_->forward(step, {previous, h_}, {operand, h_});
}

template <typename T>
void GruCell<T>::operand_backward(const StepRows<T>& step, const T* /*previous*/, T* doperand, T* dprevious) const noexcept {
  operand_norm_->backward(step, {doperand, h_});
  kernels<T>().add(step.rows * h_, doperand, dprevious);
}

template <typename T>
void GruCell<T>::operand_tangents(const StepRows<T>& step, const T* /*previous*/, size_t count, T* tangents) const noexcept {
  for (size_t k = 0; k < count; ++k) operand_norm_->tangent(step, tangents + k * h_, h_);
}

// What r resets before the product.
template <typename T>
const T* GruCell<T>::operand_again(const StepRows<T>& step, const T* previous) const noexcept {
  if (!operand_norm_) return previous;
  T* again = scratch(step, kOperand);
  operand(step, previous, again);
  return again;
}

// --- forward -----------------------------------------------------------------------------------------------------------

template <typename T>
T* GruCell<T>::saved_gates_x(const StepRows<T>& step) const noexcept {
  // A norm of all gates: else the gates stand where they are activated.
  T* input = splits_ ? gates_norm_->saved(step) : nullptr;
  return input == nullptr ? step.kept(gates_at_, kGates * h_) : input;
}

template <typename T>
T* GruCell<T>::saved_gates_h(const StepRows<T>& step) const noexcept {
  if (reset_product_ && !recurrent_norm_) return nullptr;
  return recurrent_norm_ ? recurrent_norm_->saved(step) : step.kept(recurrent_at_, h_);
}

template <typename T>
void GruCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  T* saved = step.kept(gates_at_, kGates * h_);
  T* gates = saved == nullptr ? step.gates_x : saved;
  const T* products = normalize_gates(step, gates);
  if (reset_product_) {
    forward_reset_before(step, gates, products);
  } else {
    forward_reset_after(step, gates, products);
  }
  if (!hidden_norm_) return;
  hidden_norm_->forward(step, hidden_of(step).hidden, {step.state, h_});
  if (step.output != nullptr) kernels<T>().copy_rows(step.rows, h_, step.state, h_, step.output, step.ld_output);
}

// Where h_t goes, or what is normalised to it.
template <typename T>
typename GruCell<T>::Hidden GruCell<T>::hidden_of(const ForwardStep<T>& step) const noexcept {
  if (!hidden_norm_) {
    const UnitRows<T> units(step, h_);
    return {units.of(step.state, h_), {step.output == nullptr ? nullptr : step.output + step.unit, step.ld_output}};
  }
  T* saved = hidden_norm_->saved(step);
  return {{saved == nullptr ? scratch(step, kCandidate) : saved, h_}, {}};
}

// The gates' pre-activations, without biases that are added after the normalisation: as they came or, where they are normalised, in
// `target`. With a split one, that of x_t alone.
template <typename T>
const T* GruCell<T>::normalize_gates(const ForwardStep<T>& step, T* target) const noexcept {
  const size_t width = kGates * h_;
  if (bias_within_norm_) {
    for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(width, bias_.row(), step.gates_x + r * width);
  }
  if (!gates_norm_) return step.gates_x;
  // What this norm does not reach.
  if (!splits_ && reset_product_ && target != step.gates_x) {
    kernels<T>().copy_rows(step.rows, h_, step.gates_x + kSigmoids * h_, width, target + kSigmoids * h_, width);
  }
  gates_norm_->forward(step, {step.gates_x, width}, {target, width});
  return target;
}

// What r is multiplied with, without its bias; adds to the other gates what comes from h_{t−1}, where that was normalised by itself.
template <typename T>
StepArray<const T> GruCell<T>::normalize_recurrent(const ForwardStep<T>& step, T* gates) const noexcept {
  if (!recurrent_norm_) return UnitRows<T>(step, h_).of(static_cast<const T*>(step.gates_h), h_);
  const size_t width = separate_ * h_;
  T* normalized = scratch(step, kRecurrent);
  if (bias_within_norm_) {
    for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(h_, bias_.row() + kGates * h_, step.gates_h + r * h_);
  }
  recurrent_norm_->forward(step, {step.gates_h, width}, {normalized, width});
  for (size_t r = 0; r < step.rows && splits_; ++r) kernels<T>().add(kSigmoids * h_, normalized + r * width, gates + r * width);
  return {normalized + width - h_, width};
}

template <typename T>
void GruCell<T>::forward_reset_after(const ForwardStep<T>& step, T* gates, const T* products) const noexcept {
  const UnitRows<T> units(step, h_);
  const size_t width = kGates * h_;
  const StepArray<const T> recurrent = normalize_recurrent(step, gates);
  T* saved = step.kept(recurrent_at_, h_);
  const Hidden hidden = hidden_of(step);
  kernels<T>().gru_forward(units.rows, units.units,
                           {.gate_stride = units.gate_stride,
                            .products = units.of(products, width),
                            .recurrent = recurrent,
                            .bias = units.row((bias_within_norm_ ? zeros_ : bias_).of(step)),
                            .before = units.of(step.previous, h_),
                            .gates = units.of(gates, width),
                            .saved_recurrent = units.of(saved == nullptr ? step.gates_h : saved, h_),
                            .hidden = hidden.hidden,
                            .output = hidden.output});
}

template <typename T>
void GruCell<T>::forward_reset_before(const ForwardStep<T>& step, T* gates, const T* products) const noexcept {
  const auto& k = kernels<T>();
  const size_t width = kGates * h_, n = kSigmoids * h_;
  if (splits_) recurrent_norm_->forward_onto(step, {step.gates_h, n}, {gates, width});
  const T* bias = (bias_within_norm_ ? zeros_ : bias_).row();
  T* saved = reset_product_->saved(step);
  T* reset = saved == nullptr ? scratch(step, kReset) : saved;
  k.gru_reset(step.rows, h_,
              {.gate_stride = h_,
               .products = {products, width},
               .gates = {gates, width},
               .bias = bias,
               .operand = {operand_again(step, step.previous), h_},
               .reset = {reset, h_}});
  T* a = scratch(step, kGradient);
  reset_product_->forward(step, reset, a, h_);
  if (splits_) candidate_norm_->forward(step, {a, h_}, {a, h_});
  for (size_t r = 0; r < step.rows; ++r) k.add(h_, products + r * width + n, a + r * h_);
  if (bias_within_norm_) candidate_norm_->forward(step, {a, h_}, {a, h_});
  const Hidden hidden = hidden_of(step);
  k.gru_candidate(step.rows, h_,
                  {.update = {gates + h_, width},
                   .product = {a, h_},
                   .candidate = {gates + n, width},
                   .bias = bias + n,
                   .before = {step.previous, h_},
                   .hidden = hidden.hidden,
                   .output = hidden.output});
}

// --- backward ----------------------------------------------------------------------------------------------------------

template <typename T>
void GruCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  const T* gates = step.kept(gates_at_, kGates * h_);
  if (hidden_norm_) hidden_norm_->backward(step, {step.dstate, h_});
  if (reset_product_) {
    backward_reset_before(step, gates);
  } else {
    backward_reset_after(step, gates);
  }
  const size_t width = kGates * h_;
  const size_t separate = this->widths.separate_gates();
  if (splits_) kernels<T>().copy_rows(step.rows, kSigmoids * h_, step.dgates_x, width, step.dgates_h, separate);
  if (recurrent_norm_) recurrent_norm_->backward(step, {step.dgates_h, separate});
  if (gates_norm_) gates_norm_->backward(step, {step.dgates_x, width});
}

template <typename T>
void GruCell<T>::backward_reset_after(const BackwardStep<T>& step, const T* gates) const noexcept {
  const UnitRows<T> units(step, h_);
  const size_t width = kGates * h_;
  kernels<T>().gru_backward(units.rows, units.units,
                            {.gate_stride = units.gate_stride,
                             .gates = units.of(gates, width),
                             .recurrent = units.of(static_cast<const T*>(step.kept(recurrent_at_, h_)), h_),
                             .before = units.of(step.previous, h_),
                             .dhidden = units.of(step.dstate, h_),
                             .dgates = units.of(step.dgates_x, width),
                             .drecurrent = units.of(step.dgates_h, separate_ * h_, (separate_ - 1) * h_)});
}

template <typename T>
void GruCell<T>::backward_reset_before(const BackwardStep<T>& step, const T* gates) const noexcept {
  const auto& k = kernels<T>();
  const size_t width = kGates * h_, n = kSigmoids * h_;
  k.gru_candidate_backward(step.rows, h_,
                           {.gate_stride = h_,
                            .gates = {gates, width},
                            .before = {step.previous, h_},
                            .dhidden = {step.dstate, h_},
                            .dgates = {step.dgates_x, width}});
  T* da = scratch(step, kGradient);
  k.copy_rows(step.rows, h_, step.dgates_x + n, width, da, h_);
  if (candidate_norm_) candidate_norm_->backward(step, {da, h_});
  if (bias_within_norm_) k.copy_rows(step.rows, h_, da, h_, step.dgates_x + n, width);
  T* dreset = scratch(step, kReset);
  reset_product_->backward(step, da, h_, dreset);
  T* doperand = scratch(step, kCandidate);
  k.gru_reset_backward(step.rows, h_,
                       {.gate = {gates, width},
                        .operand = {operand_again(step, step.previous), h_},
                        .dreset = {dreset, h_},
                        .dgate = {step.dgates_x, width},
                        .doperand = {doperand, h_}});
  if (operand_norm_) {
    operand_backward(step, step.previous, doperand, step.dstate);
  } else {
    k.add(step.rows * h_, doperand, step.dstate);
  }
}

// --- tangents ----------------------------------------------------------------------------------------------------------

template <typename T>
void GruCell<T>::tangents(const TangentStep<T>& step) const noexcept {
  const T *r = step.kept(gates_at_, kGates * h_), *z = r + h_, *n = z + h_;
  for (size_t k = 0; k < step.count; ++k) {
    T* dgates = step.gates_h + k * kGates * h_;
    T* tangent = step.tangents + k * h_;
    const StepNorm<T>* of_sigmoids = splits_ ? &*recurrent_norm_ : gates_norm_ ? &*gates_norm_ : nullptr;
    if (of_sigmoids != nullptr) of_sigmoids->tangent(step, dgates, splits_ && !reset_product_ ? kGates * h_ : kSigmoids * h_);
    for (size_t u = 0; u < h_; ++u) {
      dgates[u] *= r[u] * (1 - r[u]);
      dgates[h_ + u] *= z[u] * (1 - z[u]);
    }
    T* dn = dgates + kSigmoids * h_;
    candidate_tangent(step, dgates, tangent, dn);
    for (size_t u = 0; u < h_; ++u) {
      tangent[u] = (1 - z[u]) * (1 - n[u] * n[u]) * dn[u] + (step.previous[u] - n[u]) * dgates[h_ + u] + z[u] * tangent[u];
    }
    if (hidden_norm_) hidden_norm_->tangent(step, tangent, h_);
  }
}

// The tangent of n's pre-activation [H].   dgates: of r and z [2H]   dhidden: of h_{t−1} [H]   dcandidate: of n's product with h_{t−1},
// where the reset comes after it
template <typename T>
void GruCell<T>::candidate_tangent(const TangentStep<T>& step, const T* dgates, const T* dhidden, T* dcandidate) const noexcept {
  const T* r = step.kept(gates_at_, kGates * h_);
  if (!reset_product_) {
    if (recurrent_norm_ && !splits_) recurrent_norm_->tangent(step, dcandidate, h_);
    const T* q = step.kept(recurrent_at_, h_);
    for (size_t u = 0; u < h_; ++u) dcandidate[u] = r[u] * dcandidate[u] + dgates[u] * q[u];
    return;
  }
  const T* operand = operand_again(step, step.previous);
  T* dreset = scratch(step, kReset);
  std::copy_n(dhidden, h_, dreset);
  if (operand_norm_) operand_norm_->tangent(step, dreset, h_);
  for (size_t u = 0; u < h_; ++u) dreset[u] = r[u] * dreset[u] + dgates[u] * operand[u];
  reset_product_->tangent(dreset, dcandidate);
  if (candidate_norm_) candidate_norm_->tangent(step, dcandidate, h_);
}

// --- the gradients of the cell's own parameters ------------------------------------------------------------------------

template <typename T>
void GruCell<T>::accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept {
  for (const auto* norm : {&gates_norm_, &recurrent_norm_, &candidate_norm_, &operand_norm_, &hidden_norm_}) {
    if (*norm) (*norm)->accumulate();
  }
  if (bias_ih_.gradient == nullptr) return;
  const size_t n = kSigmoids * h_;
  if (splits_) {
    gates_norm_->add_output_gradient(bias_ih_.gradient);
    recurrent_norm_->add_output_gradient(bias_hh_.gradient);
    // Both biases of n are added to its pre-activation, where the reset comes before.
    if (candidate_norm_) candidate_norm_->add_output_gradient(bias_hh_.gradient + n);
    return;
  }
  kernels<T>().add(n + h_, dgates_x, bias_ih_.gradient);
  kernels<T>().add(n, dgates_x, bias_hh_.gradient);
  kernels<T>().add(h_, reset_product_ ? dgates_x + n : dgates_h, bias_hh_.gradient + n);
}

template <typename T>
void GruCell<T>::after_backward(const Tape<T>& tape, size_t steps, size_t chunk_steps) const {
  if (reset_product_) reset_product_->accumulate(tape, sequences_, steps, chunk_steps);
}

template class GruCell<float>;
template class GruCell<double>;

}  // namespace evenkeel
