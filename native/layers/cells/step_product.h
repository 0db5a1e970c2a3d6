#pragma once
#include <cstddef>

#include "core/aligned_buffer.h"
#include "layers/cells/cell_parts.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/tape.h"

namespace evenkeel {

// Where on the tape a StepProduct keeps what.
struct StepProductPlan {
  size_t out, in;
  size_t input, doutput;

  StepProductPlan(size_t rows_of_weight, size_t columns_of_weight, TapePlan& tape) noexcept
      : out(rows_of_weight), in(columns_of_weight), input(tape.take(in)), doutput(tape.take(out)) {}
};

// A product within a cell's step, output = input Wᵀ, whose input the step has made itself: the scan knows nothing of it. Its weights'
// gradient is summed after the backward pass, from what the steps kept.
template <typename T>
class StepProduct {
 public:
  // weight: [out, in]   Throws std::bad_alloc.
  StepProduct(const StepProductPlan& plan, const CellParameter<T>& weight);

  // Where forward's input [rows, in] must be, but in a pass that keeps nothing; then null.
  T* saved(const StepRows<T>& step) const noexcept { return step.kept(plan_.input, plan_.in); }
  void forward(const StepRows<T>& step, const T* input, T* output, size_t ld_output) const noexcept;
  // dinput = doutput W   doutput: [rows, out] with leading dimension
  void backward(const StepRows<T>& step, const T* doutput, size_t ld_doutput, T* dinput) const noexcept;
  // A tangent of the input [in] becomes one of the output [out].
  void tangent(const T* input, T* output) const noexcept;

  // Adds to the weights' gradient what all steps gave, in blocks that are cut by the steps of a chunk alone.   Throws std::bad_alloc.
  void accumulate(const Tape<T>& tape, size_t sequences, size_t steps, size_t chunk_steps) const;

 private:
  StepProductPlan plan_;
  CellParameter<T> weight_;
  PackedWeights<T> transposed_, plain_;
};

}  // namespace evenkeel
