#pragma once
#include <cstddef>
#include <optional>

#include "core/aligned_buffer.h"
#include "layers/cells/cells.h"
#include "layers/cells/gate_bias.h"
#include "layers/cells/gru_plan.h"
#include "layers/cells/step_norm.h"
#include "layers/cells/step_product.h"

namespace evenkeel {

// r, z = σ(x_t W_irzᵀ + b_irz + h_{t−1} W_hrzᵀ + b_hrz) (Cho 2014; torch.nn.GRU)
// n = tanh(x_t W_inᵀ + b_in + r ⊙ (h_{t−1} W_hnᵀ + b_hn)), or with the reset before the product tanh(x_t W_inᵀ + b_in + (r ⊙ h_{t−1}) W_hnᵀ
// + b_hn);  h_t = (1 − z) ⊙ n + z ⊙ h_{t−1} with normalisations where CellOptions have them. The reset before the product is a product of
// the cell's own, of which the scan does not know.
template <typename T>
class GruCell final : public Cell<T> {
 public:
  // Parameters: W_ih, W_hh, b_ih, b_hh unless it has none, weights and biases of the normalisations.   Throws std::bad_alloc.
  GruCell(const CellOptions& options, const CellCall<T>& call) : GruCell(options, call, GruPlan(options), CellParameters<T>(call)) {}

  bool transforms_operand() const noexcept override { return operand_norm_.has_value(); }
  void operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept override;
  void operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept override;
  T* saved_gates_x(const StepRows<T>& step) const noexcept override;
  T* saved_gates_h(const StepRows<T>& step) const noexcept override;
  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;
  void operand_tangents(const StepRows<T>& step, const T* previous, size_t count, T* tangents) const noexcept override;
  void tangents(const TangentStep<T>& step) const noexcept override;
  void accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept override;
  bool reads_sums() const noexcept override { return !splits_; }
  void after_backward(const Tape<T>& tape, size_t steps, size_t chunk_steps) const override;

 private:
  GruCell(const CellOptions& options, const CellCall<T>& call, const GruPlan& plan, CellParameters<T> own);
  struct Hidden {
    StepArray<T> hidden, output;
  };
  Hidden hidden_of(const ForwardStep<T>& step) const noexcept;
  const T* operand_again(const StepRows<T>& step, const T* previous) const noexcept;
  const T* normalize_gates(const ForwardStep<T>& step, T* target) const noexcept;
  StepArray<const T> normalize_recurrent(const ForwardStep<T>& step, T* gates) const noexcept;
  void forward_reset_after(const ForwardStep<T>& step, T* gates, const T* products) const noexcept;
  void forward_reset_before(const ForwardStep<T>& step, T* gates, const T* products) const noexcept;
  void backward_reset_after(const BackwardStep<T>& step, const T* gates) const noexcept;
  void backward_reset_before(const BackwardStep<T>& step, const T* gates) const noexcept;
  void candidate_tangent(const TangentStep<T>& step, const T* dgates, const T* dhidden, T* dcandidate) const noexcept;

  enum Scratch : size_t { kRecurrent, kOperand = 3, kReset, kCandidate, kGradient, kScratches };  // [rows, 3H], then [rows, H] each
  T* scratch(const StepRows<T>& step, Scratch which) const noexcept {
    return scratch_.get() + which * sequences_ * h_ + step.first * (which == kRecurrent ? 3 : 1) * h_;
  }

  size_t h_, sequences_, separate_;
  size_t gates_at_, recurrent_at_;  // on the tape
  bool splits_, bias_within_norm_;
  CellParameter<T> bias_ih_, bias_hh_;
  std::optional<StepProduct<T>> reset_product_;
  std::optional<StepNorm<T>> gates_norm_, recurrent_norm_, candidate_norm_, operand_norm_, hidden_norm_;
  GateBias<T> bias_, zeros_;  // [4H]: of r, z, n and what r is multiplied with
  AlignedBuffer<T> scratch_;
};

extern const CellKind kGru;

}  // namespace evenkeel
