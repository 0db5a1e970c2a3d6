#include "layers/cells/elman.h"

namespace evenkeel {

template <typename T>
ElmanCell<T>::ElmanCell(size_t hidden, Nonlinearity nonlinearity, const T* bias_ih, const T* bias_hh)
    : hidden_(hidden), nonlinearity_(nonlinearity), bias_(hidden) {
  if (bias_ih == nullptr) return;
  for (size_t i = 0; i < hidden; ++i) bias_.get()[i] = bias_ih[i] + bias_hh[i];
}

template <typename T>
void ElmanCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, step.sequence_length * hidden_, step.projected, step.recurrent, bias_.get(),
                             step.state);
}

template <typename T>
void ElmanCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  kernels<T>().elman_backward(nonlinearity_, step.rows, hidden_, step.sequence_length * hidden_, step.state, step.dstate, step.dcarry,
                              step.dprojected);
}

template class ElmanCell<float>;
template class ElmanCell<double>;

}  // namespace evenkeel
