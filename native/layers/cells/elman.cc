#include "layers/cells/elman.h"

#include <algorithm>

#include "layers/dense.h"

namespace evenkeel {

template <typename T>
ElmanCell<T>::ElmanCell(size_t hidden, Nonlinearity nonlinearity, const ElmanBiases<T>& biases, const NormSites<T>& sites)
    : hidden_(hidden),
      nonlinearity_(nonlinearity),
      sites_(sites),
      dbias_ih_(biases.dih),
      dbias_hh_(biases.dhh),
      bias_(hidden),
      zeros_(hidden) {
  for (size_t i = 0; i < hidden; ++i) bias_.get()[i] = biases.ih[i] + biases.hh[i];
  const auto* recurrent = sites.at(NormPoint::kRecurrent);
  if (recurrent != nullptr && recurrent->bias() != nullptr) kernels<T>().add(hidden, recurrent->bias(), bias_.get());
  std::fill_n(zeros_.get(), hidden, T{0});
}

template <typename T>
void ElmanCell<T>::operand(const StepRows& step, const T* previous, T* operand) const noexcept {
  sites_.at(NormPoint::kOperand)->forward(step, previous, operand);
}

template <typename T>
void ElmanCell<T>::operand_backward(const StepRows& step, const T* previous, T* doperand, T* dprevious) const noexcept {
  sites_.at(NormPoint::kOperand)->backward(step, previous, doperand, doperand);
  kernels<T>().add(step.rows * hidden_, doperand, dprevious);
}

template <typename T>
std::optional<PlainStep<T>> ElmanCell<T>::plain_step() const noexcept {
  if (sites_.any()) return {};
  return PlainStep<T>{nonlinearity_, bias_.get()};
}

template <typename T>
T* ElmanCell<T>::projected_place(const StepRows& step) const noexcept {
  for (const NormPoint point : {NormPoint::kProjected, NormPoint::kPreactivation}) {
    if (const auto* site = sites_.at(point)) return site->place(step);
  }
  return nullptr;
}

template <typename T>
T* ElmanCell<T>::recurrent_place(const StepRows& step) const noexcept {
  const auto* site = sites_.at(NormPoint::kRecurrent);
  return site == nullptr ? nullptr : site->place(step);
}

// What the sites keep is not written over, since it may stand where they keep it.
template <typename T>
void ElmanCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  const T* a = step.projected;
  const T* bias = bias_.get();
  if (const auto* site = sites_.at(NormPoint::kProjected)) {
    site->forward(step, step.projected, step.state);
    sites_.at(NormPoint::kRecurrent)->forward_onto(step, step.recurrent, step.state);
    a = step.state;
  }
  if (const auto* site = sites_.at(NormPoint::kPreactivation)) {
    for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(hidden_, bias, step.projected + r * hidden_);
    site->forward(step, step.projected, step.state);
    a = step.state;
    bias = zeros_.get();
  }
  const auto* site = sites_.at(NormPoint::kState);
  if (site == nullptr) {
    return kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, a, bias, step.state, step.output, step.ld_output);
  }
  T* place = site->place(step);
  T* phi = place == nullptr ? step.state : place;
  kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, a, bias, phi, nullptr, 0);
  site->forward(step, phi, step.state);
  if (step.output != nullptr) kernels<T>().copy_rows(step.rows, hidden_, step.state, hidden_, step.output, step.ld_output);
}

template <typename T>
void ElmanCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  const size_t count = step.rows * hidden_;
  const T* phi = step.state;
  if (const auto* site = sites_.at(NormPoint::kState)) {
    phi = site->kept(step);
    site->backward(step, phi, step.dstate, step.dstate);
  }
  // ∂L/∂a
  T* da = products_apart() ? step.dstate : step.dprojected;
  kernels<T>().elman_backward(nonlinearity_, count, phi, step.dstate, da);
  if (const auto* site = sites_.at(NormPoint::kPreactivation)) site->backward(step, site->kept(step), da, da);
  if (const auto* site = sites_.at(NormPoint::kRecurrent)) site->backward(step, site->kept(step), da, step.drecurrent);
  if (const auto* site = sites_.at(NormPoint::kProjected)) site->backward(step, site->kept(step), da, step.dprojected);
}

template <typename T>
void ElmanCell<T>::operand_tangents(const StepRows& step, const T* previous, size_t count, T* tangents) const noexcept {
  sites_.at(NormPoint::kOperand)->tangents(step, previous, count, tangents);
}

template <typename T>
void ElmanCell<T>::tangents(const TangentStep<T>& step) const noexcept {
  for (const NormPoint point : {NormPoint::kRecurrent, NormPoint::kPreactivation}) {
    if (const auto* site = sites_.at(point)) site->tangents(step, site->kept(step), step.count, step.recurrent);
  }
  const auto* site = sites_.at(NormPoint::kState);
  const T* phi = site == nullptr ? step.state : site->kept(step);
  for (size_t k = 0; k < step.count; ++k) {
    kernels<T>().elman_backward(nonlinearity_, hidden_, phi, step.recurrent + k * hidden_, step.tangents + k * hidden_);
  }
  if (site != nullptr) site->tangents(step, phi, step.count, step.tangents);
}

template <typename T>
void ElmanCell<T>::accumulate(size_t rows, const T* dprojected, const T* drecurrent) const {
  const AlignedBuffer<T> sums(hidden_);
  std::fill_n(sums.get(), hidden_, T{0});
  if (reads_sums()) accumulate_column_sums(rows, hidden_, dprojected, sums.get());
  accumulate_sums(sums.get(), drecurrent);
}

template <typename T>
void ElmanCell<T>::accumulate_sums(const T* dprojected, const T* /*drecurrent*/) const noexcept {
  sites_.accumulate();
  // The biases' gradient is that of what they are added to.
  const T* dbias = reads_sums() ? dprojected : sites_.at(NormPoint::kProjected)->output_gradient();
  kernels<T>().add(hidden_, dbias, dbias_ih_);
  kernels<T>().add(hidden_, dbias, dbias_hh_);
}

template <typename T>
void ElmanCell<T>::forward_in_lanes(const ForwardStep<T>& step) const noexcept {
  kernels<T>().elman_forward_in_lanes(nonlinearity_, hidden_, step.projected, bias_.get(), step.state);
}

template <typename T>
void ElmanCell<T>::backward_in_lanes(const BackwardStep<T>& step) const noexcept {
  kernels<T>().elman_backward(nonlinearity_, hidden_ * kernels<T>().lane_count(), step.state, step.dstate, step.dprojected);
}

template class ElmanCell<float>;
template class ElmanCell<double>;

}  // namespace evenkeel
