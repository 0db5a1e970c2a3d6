#pragma once
#include <cstddef>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/cells/cell.h"

namespace evenkeel {

// h_t = φ(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh), φ tanh or relu (Elman 1990). Keeps nothing for backward: φ' follows from h_t. The
// projection and the state may be one array.
template <typename T>
class ElmanCell final : public Cell<T> {
 public:
  // bias_ih, bias_hh: [hidden]; null in a backward pass, which does not need them. Throws std::bad_alloc.
  ElmanCell(size_t hidden, Nonlinearity nonlinearity, const T* bias_ih, const T* bias_hh);

  size_t gates() const noexcept override { return 1; }
  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;

 private:
  size_t hidden_;
  Nonlinearity nonlinearity_;
  AlignedBuffer<T> bias_;  // b_ih + b_hh
};

}  // namespace evenkeel
