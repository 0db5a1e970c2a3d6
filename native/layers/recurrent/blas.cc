#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/dense.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/step.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Sequences that go through time together on one thread. Fixed, because a product of another height may sum in another order.
constexpr size_t kSequencesPerBlock = 16;

size_t chunk_steps(const RecurrentShape& shape) noexcept { return steps_for_rows(shape, 2048); }

// Steps [begin, begin + steps) of sequences [first, end), forward.
template <typename T>
void scan_forward(const ForwardPass<T>& pass, const Tape<T>& tape, size_t begin, size_t steps, size_t first, size_t end,
                  const Chunk<T>& chunk) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t p = shape.p, s = shape.s, joint = shape.joint_gates(), separate = shape.separate_gates();
  const size_t rows = end - first;
  for (size_t k = 0; k < steps; ++k) {
    const size_t row = k * shape.n + first;
    const StepRows<T> step = tape.rows(begin + k, first, rows);
    const ForwardRows<T> of_step = {.previous = chunk.states.get() + row * s,
                                    .state = chunk.states.get() + (row + shape.n) * s,
                                    .operand = chunk.operands.get() + row * p,
                                    .gates_x = chunk.gates_x.get() + row * shape.gates(),
                                    .gates_h = chunk.gates_h.get() + row * separate,
                                    .projected = true};
    step_forward(pass.cell, tape, step, of_step, [&](const Rows<T>& operand, const Gates<T>& gates) {
      if (joint > 0) {
        gemm::multiply_transposed(rows, joint, p, operand.data, operand.stride, pass.weight_hh, p, T{1}, gates.x, shape.gates());
      }
      if (separate == 0) return;
      gemm::multiply_transposed(rows, separate, p, operand.data, operand.stride, pass.weight_hh + joint * p, p, T{0}, gates.h, separate);
    });
  }
}

// Steps [begin, begin + steps) of sequences [first, end), backward. dstate: ∂L/∂state [N, S] after the chunk's last step, without what
// comes from the output at that step; before its first at the end.
template <typename T>
void scan_backward(const BackwardPass<T>& pass, const Tape<T>& tape, size_t begin, size_t steps, size_t first, size_t end,
                   const Chunk<T>& chunk, T* doperand) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  const size_t p = shape.p, s = shape.s, joint = shape.joint_gates(), separate = shape.separate_gates();
  const size_t rows = end - first;
  const T* weight_hh = pass.forward.weight_hh;
  for (size_t k = steps; k-- > 0;) {
    const size_t row = k * shape.n + first;
    const StepRows<T> step = tape.rows(begin + k, first, rows, pass.state_gradient.exponents(first));
    const BackwardRows<T> of_step = {.previous = chunk.states.get() + row * s,
                                     .state = chunk.states.get() + (row + shape.n) * s,
                                     .dstate = pass.gradients.dstate + first * s,
                                     .dgates_x = chunk.gates_x.get() + row * shape.gates(),
                                     .dgates_h = separate == 0 ? nullptr : chunk.gates_h.get() + row * separate,
                                     .operand = chunk.operands.get() + row * p,
                                     .doperand = doperand + first * p};
    const Rows<T> output_here = output_gradient(shape, pass.doutput, first, begin + k);
    step_backward(pass.forward.cell, step, pass.state_gradient, of_step, output_here, {nullptr, 0},
                  [&](const Rows<T>& start, T* to, size_t ld) {
                    T beta = start.data == nullptr ? T{0} : T{1};  // else the product is added to what is there
                    if (joint > 0) gemm::multiply(rows, p, joint, of_step.dgates_x, shape.gates(), weight_hh, p, beta, to, ld);
                    if (separate == 0) return;
                    if (joint > 0) beta = T{1};
                    gemm::multiply(rows, p, separate, of_step.dgates_h, separate, weight_hh + joint * p, p, beta, to, ld);
                  });
  }
}

template <typename T>
void forward(const ForwardPass<T>& pass) {
  const RecurrentShape& shape = pass.shape;
  const size_t n = shape.n, s = shape.s;
  const size_t most_steps = std::min(shape.t, chunk_steps(shape));
  const Tape<T> tape(shape, pass.cell.traits, 0, pass.tape);
  const Chunk<T> chunk(shape, pass.cell, most_steps);
  copy_initial_state(shape, 0, n, pass.initial_state, chunk.states.get());
  for (size_t begin = 0; begin < shape.t; begin += most_steps) {
    const size_t steps = std::min(most_steps, shape.t - begin);
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t end) {
      gather(shape, first, end, begin, steps, shape.i, pass.input, chunk.inputs.get(), shape.i);
    });
    project(steps * n, shape.i, shape.gates(), chunk.inputs.get(), pass.weight_ih, chunk.gates_x.get());
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t end) {
      scan_forward(pass, tape, begin, steps, first, end, chunk);
      scatter(shape, first, end, begin, steps, shape.p, chunk.states.get() + n * s, s, pass.output);
    });
    std::copy_n(chunk.states.get() + steps * n * s, n * s, chunk.states.get());
  }
  copy_final_state(shape, 0, n, chunk.states.get(), pass.final_state);
}

// What a chunk's steps give to the weights' gradients, of `rows` rows.
template <typename T>
void accumulate_weight_gradients(const RecurrentShape& shape, size_t rows, const Chunk<T>& chunk, const RecurrentGradients<T>& gradients) {
  const size_t i = shape.i, p = shape.p, width = shape.gates(), joint = shape.joint_gates(), separate = shape.separate_gates();
  const Rows<T>& operands = chunk.hh_operands;
  if (joint > 0) {
    accumulate_weight_gradient(rows, p, joint, chunk.gates_x.get(), width, operands.data, operands.stride, gradients.dweight_hh);
  }
  if (separate > 0) {
    T* dweight = gradients.dweight_hh + joint * p;
    accumulate_weight_gradient(rows, p, separate, chunk.gates_h.get(), separate, operands.data, operands.stride, dweight);
  }
  accumulate_weight_gradient(rows, i, width, chunk.gates_x.get(), width, chunk.inputs.get(), i, gradients.dweight_ih);
}

template <typename T>
void backward(const BackwardPass<T>& pass) {
  const RecurrentShape& shape = pass.forward.shape;
  const size_t n = shape.n, i = shape.i, width = shape.gates();
  const RecurrentGradients<T>& gradients = pass.gradients;
  const Cell<T>& cell = pass.forward.cell;
  const size_t most_steps = std::min(shape.t, chunk_steps(shape));
  const Tape<T> tape(shape, cell.traits, 0, pass.forward.tape);
  const Chunk<T> chunk(shape, cell, most_steps);
  const AlignedBuffer<T> dinputs(gradients.dinput == nullptr ? 0 : most_steps * n * i);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * shape.p : 0);
  for (size_t end = shape.t; end > 0;) {
    const size_t begin = (end - 1) / most_steps * most_steps;
    const size_t steps = end - begin;
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t last) {
      gather_states(pass.forward, tape, 0, first, last, begin, steps, chunk.states.get());
      gather(shape, first, last, begin, steps, i, pass.forward.input, chunk.inputs.get(), i);
      scan_backward(pass, tape, begin, steps, first, last, chunk, doperand.get());
    });
    accumulate_weight_gradients(shape, steps * n, chunk, gradients);
    cell.accumulate(steps * n, chunk.gates_x.get(), chunk.gates_h.get());
    end = begin;
    if (gradients.dinput == nullptr) continue;
    project_backward(steps * n, i, width, chunk.gates_x.get(), pass.forward.weight_ih, dinputs.get());
    parallel_ranges(n, kSequencesPerBlock,
                    [&](size_t first, size_t last) { scatter(shape, first, last, begin, steps, i, dinputs.get(), i, gradients.dinput); });
  }
}

}  // namespace

template <typename T>
ScanStrategy<T> blas_strategy() noexcept {
  return {"blas", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> blas_strategy() noexcept;
template ScanStrategy<double> blas_strategy() noexcept;

}  // namespace evenkeel
