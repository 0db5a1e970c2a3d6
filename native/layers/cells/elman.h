#pragma once
#include <cstddef>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/cells/cell.h"

namespace evenkeel {

// h_t = φ(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh), φ tanh or relu (Elman 1990). Keeps nothing for backward: φ' follows from h_t.
template <typename T>
class ElmanCell final : public Cell<T> {
 public:
  // bias_ih, bias_hh: [hidden]   dbias_ih, dbias_hh: [hidden], added to by accumulate(); null in a forward pass   Throws std::bad_alloc.
  ElmanCell(size_t hidden, Nonlinearity nonlinearity, const T* bias_ih, const T* bias_hh, T* dbias_ih, T* dbias_hh);

  size_t gates() const noexcept override { return 1; }
  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;
  void accumulate(size_t rows, const T* dprojected, const T* drecurrent) const override;

 private:
  size_t hidden_;
  Nonlinearity nonlinearity_;
  AlignedBuffer<T> bias_;  // b_ih + b_hh
  T* dbias_ih_;
  T* dbias_hh_;
};

}  // namespace evenkeel
