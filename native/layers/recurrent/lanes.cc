#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/lane_chunk.h"
#include "layers/recurrent/step.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Chunks that groups go through before their sums for the weights' gradients are added up.
constexpr size_t kChunksTogether = 16;

// state_0 of the group, in lanes.
template <typename T>
void load_initial_state(const ForwardPass<T>& pass, const Group& group, T* lanes) noexcept {
  const size_t s = pass.shape.s;
  if (pass.initial_state == nullptr) return kernels<T>().to_lanes(0, s, nullptr, 0, lanes);
  kernels<T>().to_lanes(group.rows, s, pass.initial_state + group.first * s, s, lanes);
}

// The first P columns of states after so many steps, `states` [steps, S] in lanes, ↔ output.
template <typename T>
void store_output(const ForwardPass<T>& pass, const Group& group, size_t begin, size_t steps, const LaneScratch<T>& sizes,
                  const T* states) noexcept {
  const RecurrentShape& shape = pass.shape;
  if (shape.p == shape.s) return store(shape, group, begin, steps, shape.p, states, pass.output);
  for (size_t k = 0; k < steps; ++k) store(shape, group, begin + k, 1, shape.p, states + k * sizes.s, pass.output);
}
// The other columns come from the tape.
template <typename T>
void load_states(const ForwardPass<T>& pass, const Tape<T>& tape, const Group& group, size_t begin, size_t steps,
                 const LaneScratch<T>& sizes, T* states) noexcept {
  const RecurrentShape& shape = pass.shape;
  const T* output = pass.output;
  if (shape.p == shape.s) return load(shape, group, begin, steps, shape.p, output, states);
  for (size_t k = 0; k < steps; ++k, states += sizes.s) {
    load(shape, group, begin + k, 1, shape.p, output, states);
    const StepRows<T> step = tape.rows(begin + k, group.first, group.rows);
    std::copy_n(tape.hidden_state(step), sizes.s - sizes.p, states + sizes.p);
  }
}

// Both weights as products forward need them: the columns that a tile multiplies stand together.
template <typename T>
class TransposedWeights {
 public:
  explicit TransposedWeights(const ForwardPass<T>& pass)
      : width_(pass.shape.gates()), i_(pass.shape.i), p_(pass.shape.p), ih_(i_ * width_), hh_(p_ * width_) {
    transpose(i_, pass.weight_ih, ih_.get());
    transpose(p_, pass.weight_hh, hh_.get());
  }

  // The products with the columns from `first` on.
  LanesOperand<T> input(const T* x, size_t first) const noexcept { return {x, ih_.get() + first, width_, i_}; }
  LanesOperand<T> recurrent(const T* h, size_t first) const noexcept { return {h, hh_.get() + first, width_, p_}; }

 private:
  void transpose(size_t cols, const T* from, T* to) const noexcept {
    for (size_t r = 0; r < width_; ++r) {
      for (size_t c = 0; c < cols; ++c) to[c * width_ + r] = from[r * cols + c];
    }
  }

  size_t width_, i_, p_;
  AlignedBuffer<T> ih_, hh_;  // [I, G·H], [P, G·H]
};

template <typename T>
constexpr LanesOperand<T> kNothing = {nullptr, nullptr, 0, 0};

// A chunk's steps forward; the states before the first are there.
template <typename T>
void scan_forward(const ForwardPass<T>& pass, const Tape<T>& tape, const TransposedWeights<T>& weights, const LaneScratch<T>& sizes,
                  const LaneChunk<T>& chunk, const Group& group, size_t begin, size_t steps) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t joint = shape.joint_gates(), separate = shape.separate_gates();
  const auto multiply = kernels<T>().multiply_in_lanes;
  for (size_t k = 0; k < steps; ++k) {
    const StepRows<T> step = tape.rows(begin + k, group.first, group.rows);
    const ForwardRows<T> of_step = {.previous = chunk.states + k * sizes.s,
                                    .state = chunk.states + (k + 1) * sizes.s,
                                    .operand = chunk.operands,
                                    .gates_x = chunk.gates_x,
                                    .gates_h = chunk.gates_h,
                                    .projected = false};
    step_forward(pass.cell, tape, step, of_step, [&](const Rows<T>& operand, const Gates<T>& gates) {
      const T* x = chunk.inputs + k * sizes.i;
      if (joint > 0) multiply(joint, weights.input(x, 0), weights.recurrent(operand.data, 0), nullptr, gates.x);
      if (shape.input_gates() > 0) {
        multiply(shape.input_gates(), weights.input(x, joint), kNothing<T>, nullptr, gates.x + joint * sizes.lanes);
      }
      if (separate == 0) return;
      multiply(separate, weights.recurrent(operand.data, joint), kNothing<T>, nullptr, gates.h);
    });
  }
}

template <typename T>
void forward(const ForwardPass<T>& pass) {
  const RecurrentShape& shape = pass.shape;
  const Groups<T> groups(shape.n);
  const TransposedWeights<T> weights(pass);
  const LaneScratch<T> scratch(shape, groups.parts(), LaneScratch<T>::kForward, pass.cell.transforms_operand());
  const Tape<T> tape(shape, pass.cell.traits, scratch.lanes, pass.tape);
  const size_t most_steps = lane_chunk_steps(shape);
  groups.for_each([&](size_t part, const Group& group) {
    const LaneChunk<T> chunk = scratch.chunk(part);
    load_initial_state(pass, group, chunk.states);
    for (size_t begin = 0; begin < shape.t; begin += most_steps) {
      const size_t steps = std::min(most_steps, shape.t - begin);
      load(shape, group, begin, steps, shape.i, pass.input, chunk.inputs);
      scan_forward(pass, tape, weights, scratch, chunk, group, begin, steps);
      store_output(pass, group, begin, steps, scratch, chunk.states + scratch.s);
      std::copy_n(chunk.states + steps * scratch.s, scratch.s, chunk.states);
    }
    if (pass.final_state == nullptr) return;
    kernels<T>().from_lanes(group.rows, shape.s, chunk.states, pass.final_state + group.first * shape.s, shape.s);
  });
}

// Transposes g_t to rows, adds ∂L/∂output_t, applies what is asked of the state's gradient, transposes back.
template <typename T>
void complete_rows(const BackwardPass<T>& pass, const StepRows<T>& step, const LaneChunk<T>& chunk) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  T* rows = chunk.rows;
  kernels<T>().from_lanes(step.rows, shape.s, chunk.dstate, rows, shape.s);
  const Rows<T> doutput = output_gradient(shape, pass.doutput, step.first, step.step);
  add_rows(step.rows, shape.p, pass.state_gradient.output_share(step, doutput, {{rows, shape.s}}), rows, shape.s);
  pass.state_gradient.complete(step, rows);
  kernels<T>().to_lanes(step.rows, shape.s, rows, shape.s, chunk.dstate);
}

template <typename T>
void unscale_rows(const StateGradient<T>& state_gradient, const StepRows<T>& step, size_t width, T* rows, T* lanes) noexcept {
  if (step.exponents == nullptr || lanes == nullptr) return;
  kernels<T>().from_lanes(step.rows, width, lanes, rows, width);
  state_gradient.unscale(step, {rows, width});
  kernels<T>().to_lanes(step.rows, width, rows, width, lanes);
}

// A step's dgates W_hh: dstate += that, or = that plus what the output before gives.
template <typename T>
void multiply_backward(const RecurrentShape& shape, const T* weight_hh, bool direct, const T* dgates_x, const T* dgates_h,
                       const T* output_before, const LaneScratch<T>& sizes, T* dstate) noexcept {
  const size_t joint = shape.joint_gates(), separate = shape.separate_gates(), p = shape.p;
  const LanesOperand<T> of_joint = {dgates_x, weight_hh, p, joint};
  const LanesOperand<T> of_separate = {dgates_h, weight_hh + joint * p, p, separate};
  const LanesOperand<T>& first = joint > 0 ? of_joint : of_separate;
  const LanesOperand<T>& second = joint > 0 && separate > 0 ? of_separate : kNothing<T>;
  kernels<T>().multiply_in_lanes(p, first, second, direct ? dstate : output_before, dstate);
  // Last, as where the output's share is added in another layout, or after the next chunk.
  if (direct && output_before != nullptr) kernels<T>().add(sizes.p, output_before, dstate);
}

// The same for a cell that transforms its operand.
template <typename T>
void multiply_backward_transformed(const RecurrentShape& shape, const Cell<T>& cell, const T* weight_hh, const BackwardStep<T>& step,
                                   const T* output_before, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk) noexcept {
  multiply_backward<T>(shape, weight_hh, false, step.dgates_x, step.dgates_h, nullptr, sizes, chunk.doperand);
  if (!cell.traits.direct) std::fill_n(chunk.dstate, sizes.s, T{0});
  cell.operand_backward(step, step.previous, chunk.doperand, chunk.dstate);
  if (output_before != nullptr) kernels<T>().add(sizes.p, output_before, chunk.dstate);
}

// A chunk's steps backward. dstate: ∂L/∂state after the last step, without what comes from the output at that step; before the first at the
// end.
template <typename T>
void scan_backward(const BackwardPass<T>& pass, const Tape<T>& tape, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk,
                   const Group& group, size_t begin, size_t steps) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  const Cell<T>& cell = pass.forward.cell;
  const StateGradient<T>& state_gradient = pass.state_gradient;
  const bool whole = state_gradient.idle();  // g_t is not read as rows: what comes from the output is added in lanes
  const bool in_lanes = whole && pass.doutput != nullptr;
  if (in_lanes) {
    load(shape, group, begin, steps, shape.p, pass.doutput, chunk.doutput);
    kernels<T>().add(sizes.p, chunk.doutput + (steps - 1) * sizes.p, chunk.dstate);
  }
  for (size_t k = steps; k-- > 0;) {
    const BackwardStep<T> step = {tape.rows(begin + k, group.first, group.rows, state_gradient.exponents(group.first)),
                                  chunk.states + k * sizes.s,
                                  chunk.states + (k + 1) * sizes.s,
                                  chunk.dstate,
                                  chunk.gates_x + k * sizes.width,
                                  chunk.gates_h == nullptr ? nullptr : chunk.gates_h + k * sizes.separate};
    if (!whole) complete_rows(pass, step, chunk);
    cell.backward(step);
    const T* output_before = in_lanes && k > 0 ? chunk.doutput + (k - 1) * sizes.p : nullptr;
    const T* weight_hh = pass.forward.weight_hh;
    if (chunk.operands != nullptr) {
      cell.operand(step, step.previous, chunk.operands + k * sizes.p);
      multiply_backward_transformed(shape, cell, weight_hh, step, output_before, sizes, chunk);
    } else {
      multiply_backward(shape, weight_hh, cell.traits.direct, step.dgates_x, step.dgates_h, output_before, sizes, chunk.dstate);
    }
    unscale_rows(state_gradient, step, shape.gates(), chunk.rows, step.dgates_x);
    unscale_rows(state_gradient, step, shape.separate_gates(), chunk.rows, step.dgates_h);
  }
}

// ∂L/∂x of a chunk's steps, once scan_backward is through.
template <typename T>
void inputs_backward(const RecurrentShape& shape, const T* weight_ih, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk,
                     size_t steps) noexcept {
  for (size_t k = 0; k < steps; ++k) {
    const LanesOperand<T> dgates = {chunk.gates_x + k * sizes.width, weight_ih, shape.i, shape.gates()};
    kernels<T>().multiply_in_lanes(shape.i, dgates, kNothing<T>, nullptr, chunk.dinputs + k * sizes.i);
  }
}

// What a group's chunk gives to the gradients of the weights, and of what the cell accumulates.
template <typename T>
class WeightSums {
 public:
  WeightSums(const RecurrentShape& shape, size_t groups) : shape_(shape), groups_(groups), sums_(kChunksTogether * groups * size()) {}

  void write(const LaneScratch<T>& sizes, const LaneChunk<T>& chunk, size_t steps, size_t turn, size_t group) const noexcept {
    const auto sum = kernels<T>().sum_products_in_lanes;
    const size_t joint = shape_.joint_gates(), separate = shape_.separate_gates(), width = shape_.gates();
    T* to = at(turn, group);
    const T* operands = chunk.operands == nullptr ? chunk.states : chunk.operands;
    const size_t stride = chunk.operands == nullptr ? sizes.s : sizes.p;
    if (joint > 0) sum(steps, joint, shape_.p, chunk.gates_x, sizes.width, operands, stride, to);
    if (separate > 0) sum(steps, separate, shape_.p, chunk.gates_h, sizes.separate, operands, stride, to + joint * shape_.p);
    sum(steps, width, shape_.i, chunk.gates_x, sizes.width, chunk.inputs, sizes.i, to + hh());
    sum(steps, width, 1, chunk.gates_x, sizes.width, chunk.ones, 0, to + hh() + ih());
    if (separate > 0) sum(steps, separate, 1, chunk.gates_h, sizes.separate, chunk.ones, 0, to + hh() + ih() + width);
  }

  // Of one chunk, over the groups in their order.
  void add_to(const RecurrentGradients<T>& gradients, const Cell<T>& cell, size_t turn) const noexcept {
    T* total = at(turn, 0);
    for (size_t group = 1; group < groups_; ++group) kernels<T>().add(size(), at(turn, group), total);
    kernels<T>().add(hh(), total, gradients.dweight_hh);
    kernels<T>().add(ih(), total + hh(), gradients.dweight_ih);
    const T* dgates_x = total + hh() + ih();
    cell.accumulate_sums(dgates_x, dgates_x + shape_.gates());
  }

 private:
  size_t hh() const noexcept { return shape_.gates() * shape_.p; }
  size_t ih() const noexcept { return shape_.gates() * shape_.i; }
  size_t size() const noexcept { return hh() + ih() + shape_.gates() + shape_.separate_gates(); }
  T* at(size_t turn, size_t group) const noexcept { return sums_.get() + (turn * groups_ + group) * size(); }

  RecurrentShape shape_;
  size_t groups_;
  AlignedBuffer<T> sums_;  // [kChunksTogether, groups, dW_hh, dW_ih and the sums for the cell]
};

// A chunk of a group, backward: its arrays, and all that it gives.
template <typename T>
void chunk_backward(const BackwardPass<T>& pass, const Tape<T>& tape, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk,
                    const Group& group, size_t begin, size_t steps) noexcept {
  const RecurrentShape& shape = pass.forward.shape;
  if (begin == 0) {
    load_initial_state(pass.forward, group, chunk.states);
    load_states(pass.forward, tape, group, 0, steps, sizes, chunk.states + sizes.s);
  } else {
    load_states(pass.forward, tape, group, begin - 1, steps + 1, sizes, chunk.states);
  }
  load(shape, group, begin, steps, shape.i, pass.forward.input, chunk.inputs);
  scan_backward(pass, tape, sizes, chunk, group, begin, steps);
  if (pass.gradients.dinput == nullptr) return;
  inputs_backward(shape, pass.forward.weight_ih, sizes, chunk, steps);
  store(shape, group, begin, steps, shape.i, chunk.dinputs, pass.gradients.dinput);
}

template <typename T>
void backward(const BackwardPass<T>& pass) {
  const RecurrentShape& shape = pass.forward.shape;
  const Groups<T> groups(shape.n);
  const LaneScratch<T> scratch(shape, groups.parts(), LaneScratch<T>::kBackward, pass.forward.cell.transforms_operand());
  const Tape<T> tape(shape, pass.forward.cell.traits, scratch.lanes, pass.forward.tape);
  const size_t most_steps = lane_chunk_steps(shape);
  const WeightSums<T> sums(shape, groups.count());
  for (size_t part = 0; part < groups.parts(); ++part) std::fill_n(scratch.chunk(part).ones, scratch.lanes, T{1});
  for (size_t last = (shape.t + most_steps - 1) / most_steps; last > 0;) {
    const size_t together = std::min(last, kChunksTogether);
    groups.for_each([&](size_t part, const Group& group) {
      const LaneChunk<T> chunk = scratch.chunk(part);
      T* dstate = pass.gradients.dstate + group.first * shape.s;
      kernels<T>().to_lanes(group.rows, shape.s, dstate, shape.s, chunk.dstate);
      for (size_t turn = 0; turn < together; ++turn) {
        const size_t begin = (last - 1 - turn) * most_steps;
        const size_t steps = std::min(most_steps, shape.t - begin);
        chunk_backward(pass, tape, scratch, chunk, group, begin, steps);
        sums.write(scratch, chunk, steps, turn, group.index);
      }
      kernels<T>().from_lanes(group.rows, shape.s, chunk.dstate, dstate, shape.s);
    });
    for (size_t turn = 0; turn < together; ++turn) sums.add_to(pass.gradients, pass.forward.cell, turn);
    last -= together;
  }
}

}  // namespace

template <typename T>
ScanStrategy<T> lanes_strategy() noexcept {
  return {.name = "lanes", .chunk_steps = lane_chunk_steps, .forward = forward<T>, .backward = backward<T>, .in_lanes = true};
}

template ScanStrategy<float> lanes_strategy() noexcept;
template ScanStrategy<double> lanes_strategy() noexcept;

}  // namespace evenkeel
