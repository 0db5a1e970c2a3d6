#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/group_sums.h"
#include "layers/recurrent/kept_weights.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/step.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Enough rows that the weights' gradients, which do not fit the caches, are read and written seldom.
size_t chunk_steps(const RecurrentShape& shape) noexcept { return steps_for_rows(shape, 512); }

// body(begin, end, the product with these columns) for columns cut for the threads, so that each reads a part of the weights: in several
// tasks, so that others go on with those of a thread that has lost its processor. Every element is the same sum however they are cut
// (multiply_panels).
template <typename T, typename Body>
void parallel_columns(size_t cols, const PanelOperand<T>& product, Body&& body) noexcept {
  constexpr size_t kTasksPerThread = 4;
  const size_t panel = kernels<T>().panel_columns();
  const size_t panels = std::max<size_t>(1, cols / panel);  // the last one may be wider
  const size_t parts = std::min(panels, kTasksPerThread * static_cast<size_t>(thread_pool::num_threads()));
  parallel_for(parts, [&](size_t part) {
    const size_t begin = panels * part / parts * panel;
    const size_t end = part + 1 == parts ? cols : panels * (part + 1) / parts * panel;
    body(begin, end, PanelOperand<T>{product.a, product.lda, product.panels + begin * product.k, product.k});
  });
}

// c [rows, cols] = start + a b, with leading dimension
template <typename T>
void multiply_in_columns(size_t rows, size_t cols, const PanelOperand<T>& product, const Rows<T>& start, T* c, size_t ldc) noexcept {
  if (cols == 0 || product.k == 0) return;
  parallel_columns(cols, product, [&](size_t begin, size_t end, const PanelOperand<T>& columns) {
    const T* from = start.data == nullptr ? nullptr : start.data + begin;
    kernels<T>().multiply_panels(rows, end - begin, columns, PackedWeights<T>::none(), from, start.stride, c + begin, ldc);
  });
}

// Steps [begin, begin + steps), forward, from their x_t W_ihᵀ and the state before them, with which chunk.states begins.
template <typename T>
void steps_forward(const ForwardPass<T>& pass, const Tape<T>& tape, const GateWeights<T>& weight_hh, size_t begin, size_t steps,
                   const Chunk<T>& chunk) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t n = shape.n, apart = shape.steps_apart(), p = shape.p, s = shape.s, width = shape.gates(), separate = shape.separate_gates();
  const auto rows_of = [&](size_t k, size_t first, size_t end) { return tape.rows(begin + k, first, end - first); };
  const auto arrays_of = [&](size_t k, size_t first) {
    const size_t row = k * n + first;
    return ForwardRows<T>{.previous = chunk.states.get() + row * s,
                          .state = chunk.states.get() + (row + n) * s,
                          .operand = chunk.operands.get() + row * p,
                          .gates_x = chunk.gates_x.get() + row * width,
                          .gates_h = chunk.gates_h.get() + row * separate,
                          .projected = true,
                          .output = pass.output + (first * apart + begin + k) * p,
                          .ld_output = apart * p};
  };
  const auto operand = [&](size_t k, size_t first, size_t end) {
    const ForwardRows<T> arrays = arrays_of(k, first);
    return operand_of(pass.cell, rows_of(k, first, end), arrays.previous, arrays.operand);
  };
  parallel_rows(n, [&](size_t first, size_t end) { operand(0, first, end); });
  for (size_t k = 0; k < steps; ++k) {
    const Gates<T> gates = gates_of(pass.cell, rows_of(k, 0, n), arrays_of(k, 0));
    const Rows<T> hh = {chunk.hh_operands.data + k * n * chunk.hh_operands.stride, chunk.hh_operands.stride};
    multiply_in_columns(n, shape.joint_gates(), weight_hh.joint.times(hh.data, hh.stride), {gates.x, width}, gates.x, width);
    multiply_in_columns(n, separate, weight_hh.separate.times(hh.data, hh.stride), {nullptr, 0}, gates.h, separate);
    parallel_rows(n, [&](size_t first, size_t end) {
      const Gates<T> own = {gates.x + first * width, separate == 0 ? nullptr : gates.h + first * separate};
      finish_forward(pass.cell, tape, rows_of(k, first, end), arrays_of(k, first), own);
      if (k + 1 < steps) operand(k + 1, first, end);
    });
  }
}

// The same for a cell whose step is plain: each thread takes the step in its own columns.
template <typename T>
void plain_steps_forward(const ForwardPass<T>& pass, const PlainStep<T>& plain, const PackedWeights<T>& weight_hh, size_t begin,
                         size_t steps, const Chunk<T>& chunk) noexcept {
  const size_t n = pass.shape.n, apart = pass.shape.steps_apart(), h = pass.shape.h;
  for (size_t k = 0; k < steps; ++k) {
    const T* previous = chunk.states.get() + k * n * h;
    parallel_columns(h, weight_hh.times(previous, h), [&](size_t first, size_t end, const PanelOperand<T>& columns) {
      kernels<T>().multiply_panels_elman_forward(n, end - first, columns, PackedWeights<T>::none(), chunk.gates_x.get() + k * n * h + first,
                                                 h,
                                                 {plain.nonlinearity, plain.bias + first, pass.output + (begin + k) * h + first, apart * h},
                                                 chunk.states.get() + (k + 1) * n * h + first, h);
    });
  }
}

// Steps [begin, begin + steps), forward. chunk.states begins with the state before them.
template <typename T>
void chunk_forward(const ForwardPass<T>& pass, const Tape<T>& tape, const ForwardWeights<T>& weights, size_t begin, size_t steps,
                   const Chunk<T>& chunk) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t n = shape.n, i = shape.i, width = shape.gates(), joint = shape.joint_gates();
  parallel_rows(n, [&](size_t first, size_t end) { gather(shape, first, end, begin, steps, i, pass.input, chunk.inputs.get(), i); });
  multiply_in_columns(steps * n, joint, weights.ih.joint.times(chunk.inputs.get(), i), {nullptr, 0}, chunk.gates_x.get(), width);
  multiply_in_columns(steps * n, shape.input_gates(), weights.ih.separate.times(chunk.inputs.get(), i), {nullptr, 0},
                      chunk.gates_x.get() + joint, width);
  if (const std::optional<PlainStep<T>> plain = pass.cell.plain_step()) {
    plain_steps_forward(pass, *plain, weights.hh.joint, begin, steps, chunk);
  } else {
    steps_forward(pass, tape, weights.hh, begin, steps, chunk);
  }
}

// Steps [begin, begin + steps), backward, as far as they follow each other: all but the products outside the recurrence.
template <typename T>
void steps_backward(const BackwardPass<T>& pass, const Tape<T>& tape, const BackwardWeights<T>& weights, size_t begin, size_t steps,
                    const Chunk<T>& chunk, T* doperand) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  const Cell<T>& cell = pass.forward.cell;
  const StateGradient<T>& state_gradient = pass.state_gradient;
  const size_t n = shape.n, p = shape.p, s = shape.s, separate = shape.separate_gates();
  for (size_t k = steps; k-- > 0;) {
    const size_t t = begin + k;
    const auto rows_of = [&](size_t first, size_t end) { return tape.rows(t, first, end - first, state_gradient.exponents(first)); };
    const auto arrays_of = [&](size_t first) {
      const size_t row = k * n + first;
      return BackwardRows<T>{.previous = chunk.states.get() + row * s,
                             .state = chunk.states.get() + (row + n) * s,
                             .dstate = pass.gradients.dstate + first * s,
                             .dgates_x = chunk.gates_x.get() + row * shape.gates(),
                             .dgates_h = separate == 0 ? nullptr : chunk.gates_h.get() + row * separate,
                             .operand = chunk.operands.get() + row * p,
                             .doperand = doperand + first * p};
    };
    StateProduct<T> target{};  // of all rows
    parallel_rows(n, [&](size_t first, size_t end) {
      const auto from_output = [&](size_t of_step) { return output_gradient(shape, pass.doutput, first, of_step); };
      // Within the chunk the product starts from what the output before gives; across chunks, and calls, it is added later.
      const Rows<T> here = k + 1 == steps ? from_output(t) : Rows<T>{nullptr, 0};
      const Rows<T> before = k == 0 ? Rows<T>{nullptr, 0} : from_output(t - 1);
      const StateProduct<T> own = begin_backward(cell, rows_of(first, end), state_gradient, arrays_of(first), here, before);
      if (first == 0) target = own;
    });
    const BackwardRows<T> all = arrays_of(0);
    const StateProductOperands<T> dgates = weights.times(shape, all.dgates_x, all.dgates_h);
    multiply_in_columns(n, p, dgates.first(), target.start, target.to, target.ld);
    multiply_in_columns(n, p, dgates.second(), {target.to, target.ld}, target.to, target.ld);
    if (!cell.transforms_operand() && state_gradient.exponents(0) == nullptr) continue;
    parallel_rows(n, [&](size_t first, size_t end) {
      const T* later = target.later.data == nullptr ? nullptr : target.later.data + first * target.later.stride;
      finish_backward(cell, rows_of(first, end), state_gradient, arrays_of(first), {later, target.later.stride});
    });
  }
}

// The same for a cell whose step is plain, where nothing is asked of the state's gradient: each thread takes the step in its own columns.
template <typename T>
void plain_steps_backward(const BackwardPass<T>& pass, const PlainStep<T>& plain, const PackedWeights<T>& weight_hh, size_t begin,
                          size_t steps, const Chunk<T>& chunk) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  const size_t n = shape.n, h = shape.h;
  T* dstate = pass.gradients.dstate;
  const auto row = [&](const AlignedBuffer<T>& array, size_t k) { return array.get() + k * n * h; };
  parallel_rows(n, [&](size_t first, size_t end) {
    add_rows(end - first, h, output_gradient(shape, pass.doutput, first, begin + steps - 1), dstate + first * h, h);
    kernels<T>().elman_backward(plain.nonlinearity, (end - first) * h, row(chunk.states, steps) + first * h, dstate + first * h,
                                row(chunk.gates_x, steps - 1) + first * h);
  });
  for (size_t k = steps - 1; k > 0; --k) {
    const Rows<T> before = output_gradient(shape, pass.doutput, 0, begin + k - 1);
    parallel_columns(h, weight_hh.times(row(chunk.gates_x, k), h), [&](size_t first, size_t end, const PanelOperand<T>& columns) {
      kernels<T>().multiply_panels_elman_backward(n, end - first, columns, before.data == nullptr ? nullptr : before.data + first,
                                                  before.stride, {plain.nonlinearity, row(chunk.states, k) + first, h},
                                                  row(chunk.gates_x, k - 1) + first, h);
    });
  }
  multiply_in_columns(n, h, weight_hh.times(row(chunk.gates_x, 0), h), {nullptr, 0}, dstate, h);
}

template <typename T>
void forward(const ForwardPass<T>& pass) {
  const RecurrentShape& shape = pass.shape;
  const size_t states = shape.n * shape.s;
  const size_t most_steps = std::min(shape.t, chunk_steps(shape));
  const Tape<T> tape(shape, pass.cell.traits, 0, pass.tape);
  std::optional<ForwardWeights<T>> own;
  const ForwardWeights<T>& weights = forward_weights(pass, own);
  const Chunk<T> chunk(shape, pass.cell, most_steps);
  copy_initial_state(shape, 0, shape.n, pass.initial_state, chunk.states.get());
  for (size_t begin = 0; begin < shape.t; begin += most_steps) {
    const size_t steps = std::min(most_steps, shape.t - begin);
    chunk_forward(pass, tape, weights, begin, steps, chunk);
    std::copy_n(chunk.states.get() + steps * states, states, chunk.states.get());
  }
  copy_final_state(shape, 0, shape.n, chunk.states.get(), pass.final_state);
}

template <typename T>
void backward(const BackwardPass<T>& pass) {
  const RecurrentShape& shape = pass.forward.shape;
  const Cell<T>& cell = pass.forward.cell;
  const size_t n = shape.n, i = shape.i, width = shape.gates();
  const size_t most_steps = std::min(shape.t, chunk_steps(shape));
  const Tape<T> tape(shape, cell.traits, 0, pass.forward.tape);
  std::optional<BackwardWeights<T>> own;
  const BackwardWeights<T>& weights = backward_weights(pass, own);
  const Chunk<T> chunk(shape, cell, most_steps);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * shape.p : 0);
  const std::optional<PlainStep<T>> plain = cell.plain_step();
  const SumsIn place = shape.t == most_steps ? SumsIn::kGradient : SumsIn::kPanels;
  const WeightGradients<T> dweights(place, 1, shape, pass.gradients);
  for (size_t end = shape.t; end > 0;) {
    const size_t begin = (end - 1) / most_steps * most_steps;
    const size_t steps = end - begin;
    const size_t rows = steps * n;
    parallel_rows(n, [&](size_t first, size_t last) {
      gather_states(pass.forward, tape, 0, first, last, begin, steps, chunk.states.get());
      gather(shape, first, last, begin, steps, i, pass.forward.input, chunk.inputs.get(), i);
    });
    if (plain && pass.state_gradient.idle()) {
      plain_steps_backward(pass, *plain, weights.hh_joint, begin, steps, chunk);
    } else {
      steps_backward(pass, tape, weights, begin, steps, chunk, doperand.get());
    }
    const GradientRows<T> from = {chunk.gates_x.get(), chunk.gates_h.get(), chunk.inputs.get(), chunk.hh_operands};
    parallel_rows(width, [&](size_t first, size_t last) { dweights.add(0, rows, first, last, from); });
    cell.accumulate(rows, from.dgates_x, from.dgates_h);
    end = begin;
    if (pass.gradients.dinput == nullptr) continue;
    // x is not needed again: its gradient takes its place.
    multiply_in_columns(rows, i, weights.ih.times(from.dgates_x, width), {nullptr, 0}, chunk.inputs.get(), i);
    parallel_rows(
        n, [&](size_t first, size_t last) { scatter(shape, first, last, begin, steps, i, chunk.inputs.get(), i, pass.gradients.dinput); });
  }
  dweights.complete();
}

}  // namespace

template <typename T>
ScanStrategy<T> columns_strategy() noexcept {
  return {"columns", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> columns_strategy() noexcept;
template ScanStrategy<double> columns_strategy() noexcept;

}  // namespace evenkeel
