#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/aligned_buffer.h"
#include "layers/cells/cells.h"
#include "layers/cells/gate_bias.h"
#include "layers/cells/step_norm.h"
#include "layers/cells/step_product.h"

namespace evenkeel {

// What an LSTM keeps of a step, and where.
struct LstmPlan {
  TapePlan tape;
  size_t gates;                                // i, f, g, o
  std::optional<StepNormPlan> gates_norm;      // of the sum of both products, or of x_t W_ihᵀ
  std::optional<StepNormPlan> recurrent_norm;  // of h_{t−1} W_hhᵀ
  std::optional<StepNormPlan> operand_norm;    // of h_{t−1}
  std::optional<StepNormPlan> hidden_norm;     // of h_t
  std::optional<StepNormPlan> cell_norm;       // of c_t
  size_t normalized_cell = 0;                  // LN(c_t), where the state does not have it
  std::optional<StepProductPlan> projection;

  explicit LstmPlan(const CellOptions& options);
};

// a_t = x_t W_ihᵀ + h_{t−1} W_hhᵀ + b_ih + b_hh, of the gates i, f, g, o (Hochreiter, Schmidhuber 1997; Gers 2000; torch.nn.LSTM)
// c_t = σ(f) ⊙ c_{t−1} + σ(i) ⊙ tanh(g);  h_t = σ(o) ⊙ tanh(c_t), with a projection times W_hrᵀ
// and normalisations where CellOptions have them. The state is h_t, then c_t.
template <typename T>
class LstmCell final : public Cell<T> {
 public:
  // Parameters: W_ih, W_hh, b_ih, b_hh unless it has none, W_hr [P, H] where P is not H, weights and biases of the normalisations.
  // Throws std::bad_alloc.
  LstmCell(const CellOptions& options, const CellCall<T>& call) : LstmCell(options, call, LstmPlan(options), CellParameters<T>(call)) {}

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
  bool reads_sums() const noexcept override { return !recurrent_norm_; }
  void after_backward(const Tape<T>& tape, size_t steps, size_t chunk_steps) const override;

 private:
  LstmCell(const CellOptions& options, const CellCall<T>& call, const LstmPlan& plan, CellParameters<T> own);
  const T* normalize_gates(const ForwardStep<T>& step, T* target) const noexcept;
  void output_forward(const ForwardStep<T>& step, StepArray<T> gate, T* cell) const noexcept;
  void output_backward(const BackwardStep<T>& step, const T* gates) const noexcept;
  void tangent(const TangentStep<T>& step, const T* dgates, T* tangent) const noexcept;

  // Arrays [rows, max(H, P)] for what stands between two parts of a step, but of a plain one.
  enum Scratch : size_t { kHidden, kCell, kProjected, kScratches };
  T* scratch(const StepRows<T>& step, Scratch which) const noexcept {
    return scratch_.get() + (which * sequences_ + step.first) * std::max(h_, p_);
  }
  bool has_plain_output() const noexcept { return !cell_norm_ && !projection_ && !hidden_norm_; }

  size_t h_, p_, s_, sequences_;
  size_t gates_at_, normalized_at_;  // on the tape
  bool carries_normalized_, bias_within_norm_;
  CellParameter<T> bias_ih_, bias_hh_;
  std::optional<StepProduct<T>> projection_;
  std::optional<StepNorm<T>> gates_norm_, recurrent_norm_, operand_norm_, hidden_norm_, cell_norm_;
  GateBias<T> bias_, zeros_;  // [4H]: b_ih + b_hh
  AlignedBuffer<T> scratch_;
};

extern const CellKind kLstm;

}  // namespace evenkeel
