#pragma once
#include <cstddef>
#include <optional>

#include "core/aligned_buffer.h"
#include "layers/cells/cells.h"
#include "layers/norm_site.h"

namespace evenkeel {

// h_t = φ(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh), φ tanh or relu (Elman 1990), with normalisations where its sites have them. φ' follows
// from φ's value, so that only the sites keep anything for backward.
template <typename T>
class ElmanCell final : public Cell<T> {
 public:
  // Parameters: W_ih, W_hh, b_ih, b_hh unless it has none, then of each site weight and bias.   Throws std::bad_alloc.
  ElmanCell(const CellOptions& options, const CellCall<T>& call);

  bool transforms_operand() const noexcept override { return sites_.at(NormPoint::kOperand) != nullptr; }
  void operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept override;
  void operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept override;
  std::optional<PlainStep<T>> plain_step() const noexcept override;
  T* saved_gates_x(const StepRows<T>& step) const noexcept override;
  T* saved_gates_h(const StepRows<T>& step) const noexcept override;
  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;
  void operand_tangents(const StepRows<T>& step, const T* previous, size_t count, T* tangents) const noexcept override;
  void tangents(const TangentStep<T>& step) const noexcept override;
  void accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept override;
  bool reads_sums() const noexcept override { return sites_.at(NormPoint::kProjected) == nullptr; }

 private:
  size_t hidden_;
  Nonlinearity nonlinearity_;
  NormSites<T> sites_;
  T* dbias_ih_;  // null in a forward pass, and where there are no biases
  T* dbias_hh_;
  AlignedBuffer<T> bias_;   // what is added to the products at a step: b_ih + b_hh, and the β of a normalised operand_t W_hhᵀ
  AlignedBuffer<T> zeros_;  // [H], where the bias has gone into a normalisation
};

extern const CellKind kElman;

}  // namespace evenkeel
