#include <algorithm>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Chunks that groups go through before their sums for the weights' gradients are added up.
constexpr size_t kChunksTogether = 16;

// What a chunk's backward pass leaves should stay in L2.
size_t chunk_steps(const RecurrentShape& shape) noexcept {
  constexpr size_t kVectors = 8192, kFewest = 16, kMost = 64;
  return std::clamp(kVectors / (2 * shape.i + 3 * shape.h), kFewest, kMost);
}

// Sequences that go through time together, one in each lane; in the last group lanes may be left over.
struct Group {
  size_t index, first, rows;
};

// The groups in as many parts as there are threads: a group's results do not depend on who goes through it.
template <typename T>
class Groups {
 public:
  explicit Groups(size_t n)
      : n_(n),
        lanes_(kernels<T>().lane_count()),
        count_((n + lanes_ - 1) / lanes_),
        parts_(std::min(count_, static_cast<size_t>(thread_pool::num_threads()))) {}

  size_t count() const noexcept { return count_; }
  size_t parts() const noexcept { return parts_; }

  // body(part, group) for every group, those of a part one after the other.
  template <typename Body>
  void for_each(Body&& body) const noexcept {
    parallel_for(parts_, [&](size_t part) {
      for (size_t index = count_ * part / parts_; index < count_ * (part + 1) / parts_; ++index) {
        body(part, Group{index, index * lanes_, std::min(lanes_, n_ - index * lanes_)});
      }
    });
  }

 private:
  size_t n_, lanes_, count_, parts_;
};

// What a part needs for a group's chunk, in lanes but for `rows`.
template <typename T>
struct LaneChunk {
  T* inputs;     // x_t [steps, I]
  T* states;     // [steps + 1, H]: h before the chunk's first step, then after each
  T* projected;  // x_t W_ihᵀ of one step, plus h_{t−1} W_hhᵀ; in a backward pass its gradient [steps, gates · H]
  T* recurrent;  // h_{t−1} W_hhᵀ likewise, for a cell that has it apart; else projected
  // In a backward pass:
  T* doutput;  // ∂L/∂output_t [steps, H]
  T* dinputs;  // [steps, I]
  T* dstate;   // ∂L/∂h_t [H]
  T* ones;     // a vector of ones
  T* rows;     // [lanes, gates · H], where rows are needed
};

// The sizes of a scan in lanes, and its memory: a chunk for each part.
template <typename T>
class LaneScratch {
 public:
  enum Pass : bool { kForward, kBackward };

  const size_t lanes = kernels<T>().lane_count();
  const size_t i, h, width;  // elements of a step in lanes: I, H, gates · H, each times `lanes`
  const bool apart;

  LaneScratch(const RecurrentShape& shape, const Cell<T>& cell, size_t parts, Pass pass)
      : i(shape.i * lanes),
        h(shape.h * lanes),
        width(cell.gates() * h),
        apart(cell.products_apart()),
        pass_(pass),
        steps_(std::min(shape.t, chunk_steps(shape))),
        size_(carve(nullptr).second),
        memory_(parts * size_) {}

  LaneChunk<T> chunk(size_t part) const noexcept { return carve(memory_.get() + part * size_).first; }

 private:
  std::pair<LaneChunk<T>, size_t> carve(T* memory) const noexcept {
    size_t used = 0;
    const auto take = [&](size_t count) {
      used += count;
      return memory == nullptr ? nullptr : memory + used - count;
    };
    LaneChunk<T> chunk{};
    const size_t kept = pass_ == kForward ? 1 : steps_;
    chunk.inputs = take(steps_ * i);
    chunk.states = take((steps_ + 1) * h);
    chunk.projected = take(kept * width);
    chunk.recurrent = apart ? take(kept * width) : chunk.projected;
    if (pass_ == kForward) return {chunk, used};
    chunk.doutput = take(steps_ * h);
    chunk.dinputs = take(steps_ * i);
    chunk.dstate = take(h);
    chunk.ones = take(lanes);
    chunk.rows = take(width);
    return {chunk, used};
  }

  Pass pass_;
  size_t steps_, size_;
  AlignedBuffer<T> memory_;
};

// Steps [begin, begin + steps) of the group's rows of [N, T, size] ↔ lanes [steps, size]: the steps of a row follow each other.
template <typename T>
void load(const RecurrentShape& shape, const Group& group, size_t begin, size_t steps, size_t size, const T* array, T* lanes) noexcept {
  kernels<T>().to_lanes(group.rows, steps * size, array + (group.first * shape.t + begin) * size, shape.t * size, lanes);
}
template <typename T>
void store(const RecurrentShape& shape, const Group& group, size_t begin, size_t steps, size_t size, const T* lanes, T* array) noexcept {
  kernels<T>().from_lanes(group.rows, steps * size, lanes, array + (group.first * shape.t + begin) * size, shape.t * size);
}

template <typename T>
void load_initial_state(const RecurrentShape& shape, const Group& group, const T* initial_state, T* lanes) noexcept {
  if (initial_state == nullptr) return kernels<T>().to_lanes(0, shape.h, nullptr, 0, lanes);
  kernels<T>().to_lanes(group.rows, shape.h, initial_state + group.first * shape.h, shape.h, lanes);
}

// Both weights as products forward need them: the columns that a tile multiplies stand together.
template <typename T>
class TransposedWeights {
 public:
  TransposedWeights(size_t width, const RecurrentShape& shape, const RecurrentInputs<T>& inputs)
      : width_(width), i_(shape.i), h_(shape.h), ih_(i_ * width), hh_(h_ * width) {
    transpose(i_, inputs.weight_ih, ih_.get());
    transpose(h_, inputs.weight_hh, hh_.get());
  }

  LanesOperand<T> input(const T* x) const noexcept { return {x, ih_.get(), width_, i_}; }
  LanesOperand<T> recurrent(const T* h) const noexcept { return {h, hh_.get(), width_, h_}; }

 private:
  void transpose(size_t cols, const T* from, T* to) const noexcept {
    for (size_t r = 0; r < width_; ++r) {
      for (size_t c = 0; c < cols; ++c) to[c * width_ + r] = from[r * cols + c];
    }
  }

  size_t width_, i_, h_;
  AlignedBuffer<T> ih_, hh_;  // [I, gates · H], [H, gates · H]
};

template <typename T>
constexpr LanesOperand<T> kNothing = {nullptr, nullptr, 0, 0};

// A chunk's steps forward; the states before the first are there.
template <typename T>
void scan_forward(const RecurrentShape& shape, const Cell<T>& cell, const TransposedWeights<T>& weights, const LaneScratch<T>& sizes,
                  const LaneChunk<T>& chunk, const Group& group, size_t begin, size_t steps) noexcept {
  const size_t width = cell.gates() * shape.h;
  const auto multiply = kernels<T>().multiply_in_lanes;
  for (size_t s = 0; s < steps; ++s) {
    const T* previous = chunk.states + s * sizes.h;
    const LanesOperand<T> input = weights.input(chunk.inputs + s * sizes.i);
    const LanesOperand<T> recurrent = weights.recurrent(previous);
    multiply(width, input, sizes.apart ? kNothing<T> : recurrent, nullptr, chunk.projected);
    if (sizes.apart) multiply(width, recurrent, kNothing<T>, nullptr, chunk.recurrent);
    const StepRows where{.first = group.first, .rows = group.rows, .position = (begin + s) * shape.n + group.first};
    cell.forward_in_lanes({where, chunk.projected, sizes.apart ? chunk.recurrent : nullptr, previous, chunk.states + (s + 1) * sizes.h});
  }
}

template <typename T>
void forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  const Groups<T> groups(shape.n);
  const TransposedWeights<T> weights(cell.gates() * shape.h, shape, inputs);
  const LaneScratch<T> scratch(shape, cell, groups.parts(), LaneScratch<T>::kForward);
  const size_t most_steps = chunk_steps(shape);
  groups.for_each([&](size_t part, const Group& group) {
    const LaneChunk<T> chunk = scratch.chunk(part);
    load_initial_state(shape, group, inputs.initial_state, chunk.states);
    for (size_t begin = 0; begin < shape.t; begin += most_steps) {
      const size_t steps = std::min(most_steps, shape.t - begin);
      load(shape, group, begin, steps, shape.i, inputs.input, chunk.inputs);
      scan_forward(shape, cell, weights, scratch, chunk, group, begin, steps);
      store(shape, group, begin, steps, shape.h, chunk.states + scratch.h, output);
      std::copy_n(chunk.states + steps * scratch.h, scratch.h, chunk.states);
    }
  });
}

// Gives g_t, in lanes without what comes from the output, to whoever must see it as rows, and takes it back complete.
template <typename T>
void complete_rows(const RecurrentShape& shape, const StateGradient<T>& state_gradient, const StepRows& where, size_t step,
                   const T* doutput, const LaneChunk<T>& chunk) noexcept {
  const size_t h = shape.h;
  T* rows = chunk.rows;
  kernels<T>().from_lanes(where.rows, h, chunk.dstate, rows, h);
  add_rows(where.rows, h, state_gradient.output_share(where, output_gradient(shape, doutput, where.first, step), h, {rows}), rows);
  state_gradient.complete(where, step, rows);
  kernels<T>().to_lanes(where.rows, h, rows, h, chunk.dstate);
}

template <typename T>
void unscale_rows(const StateGradient<T>& state_gradient, const StepRows& where, size_t width, T* rows, T* lanes) noexcept {
  if (where.exponents == nullptr) return;
  kernels<T>().from_lanes(where.rows, width, lanes, rows, width);
  state_gradient.unscale(where, width, rows);
  kernels<T>().to_lanes(where.rows, width, rows, width, lanes);
}

// A chunk's steps backward. dstate: ∂L/∂h after the last step, without what comes from the output at that step; before the first at the
// end.
template <typename T>
void scan_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* doutput,
                   const StateGradient<T>& state_gradient, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk, const Group& group,
                   size_t begin, size_t steps) noexcept {
  const size_t width = cell.gates() * shape.h;
  const auto multiply = kernels<T>().multiply_in_lanes;
  const bool whole = state_gradient.idle();  // nobody sees g_t: what comes from the output is added in lanes
  const bool in_lanes = whole && doutput != nullptr;
  if (in_lanes) {
    load(shape, group, begin, steps, shape.h, doutput, chunk.doutput);
    kernels<T>().add(sizes.h, chunk.doutput + (steps - 1) * sizes.h, chunk.dstate);
  }
  for (size_t s = steps; s-- > 0;) {
    const StepRows where{.first = group.first,
                         .rows = group.rows,
                         .position = (begin + s) * shape.n + group.first,
                         .exponents = state_gradient.exponents(group.first)};
    T* dprojected = chunk.projected + s * sizes.width;
    T* drecurrent = chunk.recurrent + s * sizes.width;
    if (!whole) complete_rows(shape, state_gradient, where, begin + s, doutput, chunk);
    cell.backward_in_lanes({where, chunk.states + s * sizes.h, chunk.states + (s + 1) * sizes.h, chunk.dstate, dprojected, drecurrent});
    const T* output_before = in_lanes && s > 0 ? chunk.doutput + (s - 1) * sizes.h : nullptr;
    multiply(shape.h, {drecurrent, inputs.weight_hh, shape.h, width}, kNothing<T>, output_before, chunk.dstate);
    unscale_rows(state_gradient, where, width, chunk.rows, dprojected);
    if (sizes.apart) unscale_rows(state_gradient, where, width, chunk.rows, drecurrent);
  }
}

// ∂L/∂x of a chunk's steps, once scan_backward is through.
template <typename T>
void inputs_backward(const RecurrentShape& shape, const RecurrentInputs<T>& inputs, const LaneScratch<T>& sizes, const LaneChunk<T>& chunk,
                     size_t steps) noexcept {
  for (size_t s = 0; s < steps; ++s) {
    const LanesOperand<T> dprojected = {chunk.projected + s * sizes.width, inputs.weight_ih, shape.i, sizes.width / sizes.lanes};
    kernels<T>().multiply_in_lanes(shape.i, dprojected, kNothing<T>, nullptr, chunk.dinputs + s * sizes.i);
  }
}

// What a group's chunk gives to the gradients of the weights, and of what the cell accumulates.
template <typename T>
class WeightSums {
 public:
  WeightSums(const RecurrentShape& shape, const Cell<T>& cell, size_t groups)
      : cell_(cell), groups_(groups), i_(shape.i), h_(shape.h), width_(cell.gates() * shape.h), sums_(kChunksTogether * groups * size()) {}

  void write(const LaneScratch<T>& sizes, const LaneChunk<T>& chunk, size_t steps, size_t turn, size_t group) const noexcept {
    const auto sum = kernels<T>().sum_products_in_lanes;
    T* to = at(turn, group);
    sum(steps, width_, h_, chunk.recurrent, sizes.width, chunk.states, sizes.h, to);
    sum(steps, width_, i_, chunk.projected, sizes.width, chunk.inputs, sizes.i, to + hh());
    sum(steps, width_, 1, chunk.projected, sizes.width, chunk.ones, 0, to + hh() + ih());
    if (sizes.apart) sum(steps, width_, 1, chunk.recurrent, sizes.width, chunk.ones, 0, to + hh() + ih() + width_);
  }

  // Of one chunk, over the groups in their order.
  void add_to(const RecurrentGradients<T>& gradients, size_t turn) const noexcept {
    T* total = at(turn, 0);
    for (size_t group = 1; group < groups_; ++group) kernels<T>().add(size(), at(turn, group), total);
    kernels<T>().add(hh(), total, gradients.dweight_hh);
    kernels<T>().add(ih(), total + hh(), gradients.dweight_ih);
    const T* dprojected = total + hh() + ih();
    cell_.accumulate_sums(dprojected, cell_.products_apart() ? dprojected + width_ : dprojected);
  }

 private:
  size_t hh() const noexcept { return width_ * h_; }
  size_t ih() const noexcept { return width_ * i_; }
  size_t size() const noexcept { return hh() + ih() + (cell_.products_apart() ? 2 : 1) * width_; }
  T* at(size_t turn, size_t group) const noexcept { return sums_.get() + (turn * groups_ + group) * size(); }

  const Cell<T>& cell_;
  size_t groups_, i_, h_, width_;
  AlignedBuffer<T> sums_;  // [kChunksTogether, groups, dW_hh, dW_ih and the sums for the cell]
};

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  const Groups<T> groups(shape.n);
  const LaneScratch<T> scratch(shape, cell, groups.parts(), LaneScratch<T>::kBackward);
  const size_t most_steps = chunk_steps(shape);
  const WeightSums<T> sums(shape, cell, groups.count());
  for (size_t part = 0; part < groups.parts(); ++part) std::fill_n(scratch.chunk(part).ones, scratch.lanes, T{1});
  for (size_t last = (shape.t + most_steps - 1) / most_steps; last > 0;) {
    const size_t together = std::min(last, kChunksTogether);
    groups.for_each([&](size_t part, const Group& group) {
      const LaneChunk<T> chunk = scratch.chunk(part);
      T* dstate = gradients.dstate + group.first * shape.h;
      kernels<T>().to_lanes(group.rows, shape.h, dstate, shape.h, chunk.dstate);
      for (size_t turn = 0; turn < together; ++turn) {
        const size_t begin = (last - 1 - turn) * most_steps;
        const size_t steps = std::min(most_steps, shape.t - begin);
        if (begin == 0) {
          load_initial_state(shape, group, inputs.initial_state, chunk.states);
          load(shape, group, 0, steps, shape.h, output, chunk.states + scratch.h);
        } else {
          load(shape, group, begin - 1, steps + 1, shape.h, output, chunk.states);
        }
        load(shape, group, begin, steps, shape.i, inputs.input, chunk.inputs);
        scan_backward(shape, cell, inputs, doutput, state_gradient, scratch, chunk, group, begin, steps);
        if (gradients.dinput != nullptr) {
          inputs_backward(shape, inputs, scratch, chunk, steps);
          store(shape, group, begin, steps, shape.i, chunk.dinputs, gradients.dinput);
        }
        sums.write(scratch, chunk, steps, turn, group.index);
      }
      kernels<T>().from_lanes(group.rows, shape.h, chunk.dstate, dstate, shape.h);
    });
    for (size_t turn = 0; turn < together; ++turn) sums.add_to(gradients, turn);
    last -= together;
  }
}

}  // namespace

template <typename T>
ScanStrategy<T> lanes_strategy() noexcept {
  return {"lanes", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> lanes_strategy() noexcept;
template ScanStrategy<double> lanes_strategy() noexcept;

}  // namespace evenkeel
