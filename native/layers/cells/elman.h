#pragma once
#include <cstddef>
#include <optional>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/cells/cell.h"
#include "layers/norm_site.h"

namespace evenkeel {

// The biases of an Elman cell, and their gradients, which accumulate() adds to; null in a forward pass.
template <typename T>
struct ElmanBiases {
  const T* ih;  // [H]
  const T* hh;
  T* dih;
  T* dhh;
};

// h_t = φ(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh), φ tanh or relu (Elman 1990), with normalisations where its sites have them. φ' follows
// from φ's value, so that only the sites keep anything for backward.
template <typename T>
class ElmanCell final : public Cell<T> {
 public:
  // sites: must live as long as the cell   Throws std::bad_alloc.
  ElmanCell(size_t hidden, Nonlinearity nonlinearity, const ElmanBiases<T>& biases, const NormSites<T>& sites);

  size_t gates() const noexcept override { return 1; }
  bool products_apart() const noexcept override { return sites_.at(NormPoint::kRecurrent) != nullptr; }
  bool transforms_operand() const noexcept override { return sites_.at(NormPoint::kOperand) != nullptr; }
  void operand(const StepRows& step, const T* previous, T* operand) const noexcept override;
  void operand_backward(const StepRows& step, const T* previous, T* doperand, T* dprevious) const noexcept override;
  std::optional<PlainStep<T>> plain_step() const noexcept override;
  T* projected_place(const StepRows& step) const noexcept override;
  T* recurrent_place(const StepRows& step) const noexcept override;
  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;
  void operand_tangents(const StepRows& step, const T* previous, size_t count, T* tangents) const noexcept override;
  void tangents(const TangentStep<T>& step) const noexcept override;
  void accumulate(size_t rows, const T* dprojected, const T* drecurrent) const override;
  bool has_lanes() const noexcept override { return !sites_.any(); }
  void forward_in_lanes(const ForwardStep<T>& step) const noexcept override;
  void backward_in_lanes(const BackwardStep<T>& step) const noexcept override;
  void accumulate_sums(const T* dprojected, const T* drecurrent) const noexcept override;
  bool reads_sums() const noexcept override { return sites_.at(NormPoint::kProjected) == nullptr; }

 private:
  size_t hidden_;
  Nonlinearity nonlinearity_;
  const NormSites<T>& sites_;
  T* dbias_ih_;
  T* dbias_hh_;
  AlignedBuffer<T> bias_;   // what is added to the products at a step: b_ih + b_hh, and the β of a normalised operand_t W_hhᵀ
  AlignedBuffer<T> zeros_;  // [H], where the bias has gone into a normalisation
};

}  // namespace evenkeel
