#include "layers/cells/elman.h"

#include <algorithm>

#include "layers/dense.h"

namespace evenkeel {

template <typename T>
ElmanCell<T>::ElmanCell(size_t hidden, Nonlinearity nonlinearity, const T* bias_ih, const T* bias_hh, T* dbias_ih, T* dbias_hh)
    : hidden_(hidden), nonlinearity_(nonlinearity), bias_(hidden), dbias_ih_(dbias_ih), dbias_hh_(dbias_hh) {
  for (size_t i = 0; i < hidden; ++i) bias_.get()[i] = bias_ih[i] + bias_hh[i];
}

template <typename T>
void ElmanCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  kernels<T>().elman_forward(nonlinearity_, step.rows, hidden_, step.projected, bias_.get(), step.state);
}

template <typename T>
void ElmanCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  kernels<T>().elman_backward(nonlinearity_, step.rows * hidden_, step.state, step.dstate, step.dprojected);
}

template <typename T>
void ElmanCell<T>::accumulate(size_t rows, const T* dprojected, const T* /*drecurrent*/) const {
  const AlignedBuffer<T> sums(hidden_);
  std::fill_n(sums.get(), hidden_, T{0});
  accumulate_column_sums(rows, hidden_, dprojected, sums.get());
  kernels<T>().add(hidden_, sums.get(), dbias_ih_);
  kernels<T>().add(hidden_, sums.get(), dbias_hh_);
}

template class ElmanCell<float>;
template class ElmanCell<double>;

}  // namespace evenkeel
