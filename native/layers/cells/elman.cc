#include "layers/cells/elman.h"

#include <algorithm>
#include <utility>

namespace evenkeel {

namespace {

Widths widths(const CellOptions& options) {
  const size_t separate = options.placement == Placement::kSplitPreactivation ? 1 : 0;
  return {.i = options.input, .h = options.hidden, .p = options.hidden, .s = options.hidden, .g = 1, .separate = separate};
}

CellTraits traits(const CellOptions& options) {
  const bool normalised = options.placement != Placement::kNone;
  return {.tape = norm_tape(options.placement, options.norm, options.hidden), .across_units = normalised, .own_sums = normalised};
}

constexpr size_t kFirstBias = 2;  // the position of b_ih among the parameters, after the weights

size_t first_norm(const CellOptions& options) { return options.bias ? kFirstBias + 2 : kFirstBias; }

std::vector<ParameterSize> parameters(const CellOptions& options) {
  std::vector<ParameterSize> all;
  if (options.bias) all = {{"biasIh", options.hidden}, {"biasHh", options.hidden}};
  for (ParameterSize& of : norm_parameters(options.placement, options.norm, options.hidden)) all.push_back(std::move(of));
  return all;
}

template <typename T>
std::unique_ptr<Cell<T>> make(const CellOptions& options, const CellCall<T>& call) {
  return std::make_unique<ElmanCell<T>>(options, call);
}

}  // namespace

constexpr CellKind kElman = {"elman", widths, traits, parameters, make<float>, make<double>};

template <typename T>
ElmanCell<T>::ElmanCell(const CellOptions& options, const CellCall<T>& call)
    : Cell<T>(widths(options), traits(options)),
      hidden_(options.hidden),
      nonlinearity_(options.nonlinearity),
      sites_(options.placement,
             {.kind = options.norm, .sequences = call.sequences, .size = hidden_, .eps = options.eps, .keeps = call.keeps},
             norm_arrays(options.placement, options.norm, call, first_norm(options)), 0),
      dbias_ih_(options.bias ? call.gradient(kFirstBias) : nullptr),
      dbias_hh_(options.bias ? call.gradient(kFirstBias + 1) : nullptr),
      bias_(hidden_),
      zeros_(hidden_) {
  std::fill_n(zeros_.get(), hidden_, T{0});
  std::fill_n(bias_.get(), hidden_, T{0});
  if (options.bias) {
    const T* ih = call.value(kFirstBias);
    const T* hh = call.value(kFirstBias + 1);
    for (size_t i = 0; i < hidden_; ++i) bias_.get()[i] = ih[i] + hh[i];
  }
  const auto* recurrent = sites_.at(NormPoint::kRecurrent);
  if (recurrent != nullptr && recurrent->bias() != nullptr) kernels<T>().add(hidden_, recurrent->bias(), bias_.get());
}

template <typename T>
void ElmanCell<T>::operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept {
  sites_.at(NormPoint::kOperand)->forward(step, previous, operand);
}

template <typename T>
void ElmanCell<T>::operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept {
  sites_.at(NormPoint::kOperand)->backward(step, previous, doperand, doperand);
  kernels<T>().add(step.rows * hidden_, doperand, dprevious);
}

template <typename T>
std::optional<PlainStep<T>> ElmanCell<T>::plain_step() const noexcept {
  if (sites_.any()) return {};
  return PlainStep<T>{nonlinearity_, bias_.get()};
}

template <typename T>
T* ElmanCell<T>::saved_gates_x(const StepRows<T>& step) const noexcept {
  for (const NormPoint point : {NormPoint::kProjected, NormPoint::kPreactivation}) {
    if (const auto* site = sites_.at(point)) return site->saved(step);
  }
  return nullptr;
}

template <typename T>
T* ElmanCell<T>::saved_gates_h(const StepRows<T>& step) const noexcept {
  const auto* site = sites_.at(NormPoint::kRecurrent);
  return site == nullptr ? nullptr : site->saved(step);
}

// Does not write to step.gates_x or step.gates_h: they may alias a saved input of a norm site.
template <typename T>
void ElmanCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  const T* a = step.gates_x;
  const T* bias = bias_.get();
  if (step.lanes > 0) return kernels<T>().elman_forward_in_lanes(nonlinearity_, hidden_, a, bias, step.state);
  if (const auto* site = sites_.at(NormPoint::kProjected)) {
    site->forward(step, step.gates_x, step.state);
    sites_.at(NormPoint::kRecurrent)->forward_onto(step, step.gates_h, step.state);
    a = step.state;
  }
  if (const auto* site = sites_.at(NormPoint::kPreactivation)) {
    for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(hidden_, bias, step.gates_x + r * hidden_);
    site->forward(step, step.gates_x, step.state);
    a = step.state;
    bias = zeros_.get();
  }
  const auto* site = sites_.at(NormPoint::kState);
  if (site == nullptr) {
    return kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, a, bias, step.state, step.output, step.ld_output);
  }
  T* place = site->saved(step);
  T* phi = place == nullptr ? step.state : place;
  kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, a, bias, phi, nullptr, 0);
  site->forward(step, phi, step.state);
  if (step.output != nullptr) kernels<T>().copy_rows(step.rows, hidden_, step.state, hidden_, step.output, step.ld_output);
}

template <typename T>
void ElmanCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  const size_t count = (step.lanes > 0 ? step.lanes : step.rows) * hidden_;
  const T* phi = step.state;
  if (const auto* site = sites_.at(NormPoint::kState)) {
    phi = site->saved(step);
    site->backward(step, phi, step.dstate, step.dstate);
  }
  // ∂L/∂a
  T* da = this->widths.separate > 0 ? step.dstate : step.dgates_x;
  kernels<T>().elman_backward(nonlinearity_, count, phi, step.dstate, da);
  if (const auto* site = sites_.at(NormPoint::kPreactivation)) site->backward(step, site->saved(step), da, da);
  if (const auto* site = sites_.at(NormPoint::kRecurrent)) site->backward(step, site->saved(step), da, step.dgates_h);
  if (const auto* site = sites_.at(NormPoint::kProjected)) site->backward(step, site->saved(step), da, step.dgates_x);
}

template <typename T>
void ElmanCell<T>::operand_tangents(const StepRows<T>& step, const T* previous, size_t count, T* tangents) const noexcept {
  sites_.at(NormPoint::kOperand)->tangents(step, previous, count, tangents);
}

template <typename T>
void ElmanCell<T>::tangents(const TangentStep<T>& step) const noexcept {
  for (const NormPoint point : {NormPoint::kRecurrent, NormPoint::kPreactivation}) {
    if (const auto* site = sites_.at(point)) site->tangents(step, site->saved(step), step.count, step.gates_h);
  }
  const auto* site = sites_.at(NormPoint::kState);
  const T* phi = site == nullptr ? step.state : site->saved(step);
  for (size_t k = 0; k < step.count; ++k) {
    kernels<T>().elman_backward(nonlinearity_, hidden_, phi, step.gates_h + k * hidden_, step.tangents + k * hidden_);
  }
  if (site != nullptr) site->tangents(step, phi, step.count, step.tangents);
}

template <typename T>
void ElmanCell<T>::accumulate_sums(const T* dgates_x, const T* /*dgates_h*/) const noexcept {
  sites_.accumulate();
  // The biases' gradient is that of what they are added to.
  const T* dbias = reads_sums() ? dgates_x : sites_.at(NormPoint::kProjected)->output_gradient();
  if (dbias_ih_ != nullptr) kernels<T>().add(hidden_, dbias, dbias_ih_);
  if (dbias_hh_ != nullptr) kernels<T>().add(hidden_, dbias, dbias_hh_);
}

template class ElmanCell<float>;
template class ElmanCell<double>;

}  // namespace evenkeel
