#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/kept_weights.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/step.h"

namespace evenkeel {

// Sequences that go through time together: many enough that reading the weights once for all of them costs little, few enough that their
// rows stay in the caches.
constexpr size_t kMaxSequencesTogether = 48;

// Every row's result is the same whatever rows are computed with it (multiply_panels), so the cut may follow the number of threads.
inline size_t thread_parts(size_t n) noexcept {
  const size_t threads = static_cast<size_t>(thread_pool::num_threads());
  const size_t per_thread = (n + threads * kMaxSequencesTogether - 1) / (threads * kMaxSequencesTogether);
  return std::min(n, threads * per_thread);
}

template <typename Body>
void parallel_sequences(size_t n, Body&& body) noexcept {
  const size_t parts = thread_parts(n);
  parallel_for(parts, [&](size_t part) { body(n * part / parts, n * (part + 1) / parts); });
}

// Fewer sequences leave a part of a tile's rows empty at each step. Then the products with W_ih, which no step waits for, take many steps
// of a sequence for their rows. An element is the same sum either way, so that this too may follow the number of threads.
inline bool are_few(size_t sequences) noexcept {
  constexpr size_t kFullTile = 8;
  return sequences < kFullTile;
}

template <typename T>
struct ForwardScratch {
  static constexpr size_t kStepsAhead = 32;
  AlignedBuffer<T> states[2];  // state_{t−1} and state_t, in turns [N, S]
  size_t steps_ahead;          // whose x_t W_ihᵀ is computed at once
  AlignedBuffer<T> gates_x;    // for each thread's sequences [steps_ahead, sequences, G·H]
  AlignedBuffer<T> gates_h;    // [N, separate_gates()]
  AlignedBuffer<T> operands;   // [N, P], for a cell that transforms it

  ForwardScratch(const RecurrentShape& shape, const Cell<T>& cell)
      : states{AlignedBuffer<T>(shape.n * shape.s), AlignedBuffer<T>(shape.n * shape.s)},
        steps_ahead(are_few(shape.n / thread_parts(shape.n)) ? kStepsAhead : 1),
        gates_x(steps_ahead * shape.n * shape.gates()),
        gates_h(shape.n * shape.separate_gates()),
        operands(cell.transforms_operand() ? shape.n * shape.p : 0) {}
};

// x_t W_ihᵀ of steps [begin, begin + steps) of sequences [first, end), to gates_x [steps, sequences, G·H].
template <typename T>
void project(const ForwardPass<T>& pass, const GateWeights<T>& weight_ih, size_t begin, size_t steps, size_t first, size_t end,
             T* gates_x) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t width = shape.gates(), joint = shape.joint_gates();
  const auto multiply = [&](size_t n, size_t cols, const PackedWeights<T>& weights, T* to) {
    if (cols == 0) return;
    const PanelOperand<T> product = weights.times(pass.input + (n * shape.steps_apart() + begin) * shape.i, shape.i);
    kernels<T>().multiply_panels(steps, cols, product, PackedWeights<T>::none(), nullptr, 0, to + (n - first) * width,
                                 (end - first) * width);
  };
  for (size_t n = first; n < end; ++n) {
    multiply(n, joint, weight_ih.joint, gates_x);
    multiply(n, shape.input_gates(), weight_ih.separate, gates_x + joint);
  }
}

// The products of one step for the gates, x_t W_ihᵀ among them unless they hold it.
template <typename T>
void multiply_gates(const RecurrentShape& shape, const ForwardWeights<T>& weights, size_t rows, const Rows<T>& input, bool projected,
                    const Rows<T>& operand, const Gates<T>& gates) noexcept {
  const size_t width = shape.gates(), joint = shape.joint_gates(), separate = shape.separate_gates();
  const auto multiply = kernels<T>().multiply_panels;
  const PanelOperand<T> nothing = PackedWeights<T>::none();
  const auto input_product = [&](const PackedWeights<T>& ih) { return projected ? nothing : ih.times(input.data, input.stride); };
  if (joint > 0) {
    const PanelOperand<T> recurrent = weights.hh.joint.times(operand.data, operand.stride);
    multiply(rows, joint, input_product(weights.ih.joint), recurrent, projected ? gates.x : nullptr, width, gates.x, width);
  }
  const size_t from_input = shape.input_gates();
  if (from_input > 0 && !projected) {
    multiply(rows, from_input, input_product(weights.ih.separate), nothing, nullptr, 0, gates.x + joint, width);
  }
  if (separate == 0) return;
  multiply(rows, separate, weights.hh.separate.times(operand.data, operand.stride), nothing, nullptr, 0, gates.h, separate);
}

// Sequences [first, end) through all of time.
template <typename T>
void scan_forward(const ForwardPass<T>& pass, const Tape<T>& tape, const ForwardWeights<T>& weights, size_t first, size_t end,
                  const ForwardScratch<T>& scratch) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t apart = shape.steps_apart(), h = shape.h, p = shape.p, width = shape.gates();
  const size_t rows = end - first;
  const std::optional<PlainStep<T>> plain = pass.cell.plain_step();
  const size_t ahead = scratch.steps_ahead;
  for (size_t k = 0; k < shape.t; ++k) {
    const StepRows<T> step = tape.rows(k, first, rows);
    const ForwardRows<T> of_step = {.previous = scratch.states[k % 2].get() + first * shape.s,
                                    .state = scratch.states[(k + 1) % 2].get() + first * shape.s,
                                    .operand = scratch.operands.get() + first * p,
                                    .gates_x = scratch.gates_x.get() + (ahead * first + k % ahead * rows) * width,
                                    .gates_h = scratch.gates_h.get() + first * shape.separate_gates(),
                                    .projected = ahead > 1,
                                    .output = pass.output + (first * apart + k) * p,
                                    .ld_output = apart * p};
    if (ahead > 1 && k % ahead == 0) project(pass, weights.ih, k, std::min(ahead, shape.t - k), first, end, of_step.gates_x);
    const Rows<T> input = {pass.input + (first * apart + k) * shape.i, apart * shape.i};
    if (plain) {
      const PanelOperand<T> input_product = ahead > 1 ? PackedWeights<T>::none() : weights.ih.joint.times(input.data, input.stride);
      kernels<T>().multiply_panels_elman_forward(rows, h, input_product, weights.hh.joint.times(of_step.previous, h),
                                                 ahead > 1 ? of_step.gates_x : nullptr, h,
                                                 {plain->nonlinearity, plain->bias, of_step.output, apart * h}, of_step.state, h);
    } else {
      step_forward(pass.cell, tape, step, of_step, [&](const Rows<T>& operand, const Gates<T>& gates) {
        multiply_gates(shape, weights, rows, input, ahead > 1, operand, gates);
      });
    }
  }
}

template <typename T>
void forward_in_panels(const ForwardPass<T>& pass) {
  const Tape<T> tape(pass.shape, pass.cell.traits, 0, pass.tape);
  std::optional<ForwardWeights<T>> own;
  const ForwardWeights<T>& weights = forward_weights(pass, own);
  const ForwardScratch<T> scratch(pass.shape, pass.cell);
  parallel_sequences(pass.shape.n, [&](size_t first, size_t end) {
    copy_initial_state(pass.shape, first, end, pass.initial_state, scratch.states[0].get());
    scan_forward(pass, tape, weights, first, end, scratch);
    copy_final_state(pass.shape, first, end, scratch.states[pass.shape.t % 2].get(), pass.final_state);
  });
}

}  // namespace evenkeel
