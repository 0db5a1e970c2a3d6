#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/cells/cells.h"

namespace evenkeel {

// A cell with dropout on what multiplies W_hh, one mask for all steps of a sequence (Gal, Ghahramani 2016), and zoneout of its state
// (Krueger et al. 2017), state_t = m ⊙ state_{t−1} + (1 − m) ⊙ candidate_t, whatever the cell. Without masks, outside training, nothing is
// dropped and the state is what zoneout gives on average.
template <typename T>
class MaskedCell final : public Cell<T> {
 public:
  // masks: null outside training
  MaskedCell(const CellOptions& options, std::unique_ptr<Cell<T>> inner, const CellCall<T>& call, const MaskCall* masks);

  static bool wants(const CellOptions& options) noexcept;
  static CellTraits traits_of(const CellOptions& options, const Widths& widths, CellTraits inner) noexcept;

  bool transforms_operand() const noexcept override { return drops_ || inner_->transforms_operand(); }
  void operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept override;
  void operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept override;

  T* saved_gates_x(const StepRows<T>& step) const noexcept override { return inner_->saved_gates_x(step); }
  T* saved_gates_h(const StepRows<T>& step) const noexcept override { return inner_->saved_gates_h(step); }

  void forward(const ForwardStep<T>& step) const noexcept override;
  void backward(const BackwardStep<T>& step) const noexcept override;

  void operand_tangents(const StepRows<T>& step, const T* previous, size_t count, T* tangents) const noexcept override;
  void tangents(const TangentStep<T>& step) const noexcept override;

  void accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept override { inner_->accumulate_sums(dgates_x, dgates_h); }
  bool reads_sums() const noexcept override { return inner_->reads_sums(); }
  void after_backward(const Tape<T>& tape, size_t steps, size_t chunk_steps) const override {
    inner_->after_backward(tape, steps, chunk_steps);
  }

 private:
  // Columns [first, first + units) of the state that zoneout treats alike.
  struct Part {
    size_t first, units;
    std::uint32_t use;
    double probability;
  };

  bool zones_out() const noexcept { return hidden_ > 0 || cell_ > 0; }
  // candidate_t [rows, S]: on the tape, or of a step that keeps nothing in scratch.
  T* candidate(const StepRows<T>& step) const noexcept;
  // body(part) of the step's units
  template <typename Body>
  void for_each_part(const StepRows<T>& step, Body&& body) const noexcept;
  template <typename U>
  StepArray<U> columns(const StepRows<T>& step, const Part& part, U* states) const noexcept;
  MaskedUnits masked(const StepRows<T>& step, const Part& part) const noexcept;
  void draw_operand_mask(double probability, const CellCall<T>& call);
  // to [rows, P] = from ⊙ mask, or += that
  void multiply_operand(const StepRows<T>& step, StepArray<const T> from, StepArray<T> to, bool add) const noexcept;
  MaskStream stream(std::uint32_t use, size_t step) const noexcept;

  std::unique_ptr<Cell<T>> inner_;
  const MaskCall* masks_;
  double hidden_, cell_;  // the probabilities of zoneout
  std::uint32_t place_;
  bool drops_;
  AlignedBuffer<T> operand_mask_;  // [N, P], in lanes [P, lanes] of each group
  AlignedBuffer<T> scratch_;       // two arrays of states, each of all sequences and the lanes beyond them
  size_t scratch_length_;
};

}  // namespace evenkeel
