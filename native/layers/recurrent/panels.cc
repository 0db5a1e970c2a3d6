#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/group_sums.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/panels_forward.h"
#include "layers/recurrent/step.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// How the backward pass is cut, by shape alone. Where weights are few, groups of sequences process a whole chunk without
// synchronising, each with sums of its own for the weights' gradients; a block is what a group's chunk has in the caches at a time. Else
// there is one group, and its sums are cut by their rows after each block, which is a chunk then.
struct Cut {
  size_t groups, block_steps, chunk_steps;

  bool in_groups() const noexcept { return block_steps < chunk_steps; }
};

Cut cut_of(const RecurrentShape& shape) noexcept {
  constexpr size_t kFewWeights = size_t{48} << 10;
  constexpr size_t kMostGroups = 32, kRowsPerGroup = 8, kBlockRows = 128, kBlocks = 16, kCommonBlockRows = 256;
  if (shape.gates() * (shape.p + shape.i) > kFewWeights) {
    const size_t steps = steps_for_rows(shape, kCommonBlockRows);
    return {1, steps, steps};
  }
  // An even number, for two threads to have as much each.
  const size_t pairs = (shape.n + 2 * kRowsPerGroup - 1) / (2 * kRowsPerGroup);
  const size_t groups = std::min({2 * pairs, shape.n, kMostGroups});
  const size_t steps = std::max<size_t>(1, kBlockRows * groups / shape.n);
  return {groups, steps, kBlocks * steps};
}

size_t chunk_steps(const RecurrentShape& shape) noexcept { return cut_of(shape).chunk_steps; }

// The backward pass of some of the sequences, those from `origin` on of all: the shape and the arrays are theirs alone.
template <typename T>
struct Part {
  size_t origin;
  bool is_group;  // of Cut, and not cut any further by the number of threads
  ForwardPass<T> forward;
  const T* doutput;
  T* dstate;    // ∂L/∂state [N, S] after the steps still to do, without what comes from the output at the last of them
  T* doperand;  // [N, P], for a cell that transforms its operand
  T* dinput;    // null where it is not wanted

  Part of(size_t first, size_t end) const noexcept {
    const RecurrentShape& shape = forward.shape;
    const size_t apart = first * shape.steps_apart();
    Part part = {origin + first, true, forward, doutput, dstate + first * shape.s, doperand + first * shape.p, dinput};
    part.forward.shape.n = end - first;
    part.forward.input += apart * shape.i;
    part.forward.output += apart * shape.p;
    if (part.forward.initial_state != nullptr) part.forward.initial_state += first * shape.s;
    if (part.doutput != nullptr) part.doutput += apart * shape.p;
    if (part.dinput != nullptr) part.dinput += apart * shape.i;
    return part;
  }
};

// What a backward pass reads besides.
template <typename T>
struct Context {
  const Cell<T>& cell;
  const Tape<T> tape;
  std::optional<BackwardWeights<T>> own;
  const BackwardWeights<T>& weights;
  const StateGradient<T>& state_gradient;

  explicit Context(const BackwardPass<T>& pass)
      : cell(pass.forward.cell),
        tape(pass.forward.shape, cell.traits, 0, pass.forward.tape),
        weights(backward_weights(pass, own)),
        state_gradient(pass.state_gradient) {}
};

// Where a part has its chunk or block, as of Chunk.
template <typename T>
struct Block {
  T* inputs;
  T* states;
  T* dgates_x;
  T* dgates_h;
  T* operands;
  Rows<T> hh_operands;

  // Of a part whose sequences start with `first`, out of a chunk of all: its rows follow each other.
  static Block of(const Chunk<T>& chunk, const RecurrentShape& shape, size_t steps, size_t first) noexcept {
    const size_t rows = steps * first;
    T* states = chunk.states.get() + (rows + first) * shape.s;
    T* operands = chunk.operands.get() + rows * shape.p;
    const bool transforms = chunk.hh_operands.data != chunk.states.get();
    return {chunk.inputs.get() + rows * shape.i,
            states,
            chunk.gates_x.get() + rows * shape.gates(),
            chunk.gates_h.get() + rows * shape.separate_gates(),
            operands,
            transforms ? Rows<T>{operands, shape.p} : Rows<T>{states, shape.s}};
  }
  GradientRows<T> gradient_rows() const noexcept { return {dgates_x, dgates_h, inputs, hh_operands}; }
};

// Steps [begin, begin + steps) of a part's sequences [first, end), backward. The states of the block are there.
template <typename T>
void steps_backward(const Part<T>& part, const Context<T>& context, size_t begin, size_t steps, size_t first, size_t end,
                    const Block<T>& block) noexcept {
  const RecurrentShape& shape = part.forward.shape;
  const size_t n = shape.n, s = shape.s, p = shape.p, separate = shape.separate_gates();
  const size_t rows = end - first;
  const size_t sequence = part.origin + first;
  const auto from_output = [&](size_t of_step) { return output_gradient(shape, part.doutput, first, of_step); };
  for (size_t k = steps; k-- > 0;) {
    const size_t t = begin + k;
    const size_t row = k * n + first;
    StepRows<T> step = context.tape.rows(t, sequence, rows, context.state_gradient.exponents(sequence));
    step.cut_by_shape = part.is_group;
    const BackwardRows<T> of_step = {.previous = block.states + row * s,
                                     .state = block.states + (row + n) * s,
                                     .dstate = part.dstate + first * s,
                                     .dgates_x = block.dgates_x + row * shape.gates(),
                                     .dgates_h = separate == 0 ? nullptr : block.dgates_h + row * separate,
                                     .operand = block.operands + row * p,
                                     .doperand = part.doperand + first * p};
    if (t > 1) prefetch_rows(rows, p, from_output(t - 2));  // the product of the next step starts from these
    // Within the block the product starts from what the output before gives; across blocks, and calls, it is added later.
    const Rows<T> output_here = k + 1 == steps ? from_output(t) : Rows<T>{nullptr, 0};
    const Rows<T> output_before = k == 0 ? Rows<T>{nullptr, 0} : from_output(t - 1);
    step_backward(context.cell, step, context.state_gradient, of_step, output_here, output_before,
                  [&](const Rows<T>& start, T* to, size_t ld) {
                    const StateProductOperands<T> dgates = context.weights.times(shape, of_step.dgates_x, of_step.dgates_h);
                    kernels<T>().multiply_panels(rows, p, dgates.first(), dgates.second(), start.data, start.stride, to, ld);
                  });
  }
}

// ∂L/∂x of the steps: in products of a step's sequences or, where those are few, of a sequence's steps.
template <typename T>
void inputs_backward(const Part<T>& part, const PackedWeights<T>& weight_ih, size_t begin, size_t steps, size_t first, size_t end,
                     const Block<T>& block) noexcept {
  const RecurrentShape& shape = part.forward.shape;
  const size_t n = shape.n, apart = shape.steps_apart(), i = shape.i, width = shape.gates();
  const auto multiply = [&](size_t rows, size_t k, size_t sequence, size_t ld_from, size_t ld_to) {
    kernels<T>().multiply_panels(rows, i, weight_ih.times(block.dgates_x + (k * n + sequence) * width, ld_from), PackedWeights<T>::none(),
                                 nullptr, 0, part.dinput + (sequence * apart + begin + k) * i, ld_to);
  };
  if (are_few(end - first)) {
    for (size_t sequence = first; sequence < end; ++sequence) multiply(steps, 0, sequence, n * width, i);
  } else {
    for (size_t k = 0; k < steps; ++k) multiply(end - first, k, first, width, apart * i);
  }
}

// A block of a part's sequences [first, end): steps [begin, begin + steps), backward, and the arrays that the weights' gradients need.
template <typename T>
void scan_backward(const Part<T>& part, const Context<T>& context, size_t begin, size_t steps, size_t first, size_t end,
                   const Block<T>& block) noexcept {
  const RecurrentShape& shape = part.forward.shape;
  gather_states(part.forward, context.tape, part.origin, first, end, begin, steps, block.states);
  gather(shape, first, end, begin, steps, shape.i, part.forward.input, block.inputs, shape.i);
  steps_backward(part, context, begin, steps, first, end, block);
  if (part.dinput != nullptr) inputs_backward(part, context.weights.ih, begin, steps, first, end, block);
}

// What a backward pass sums over all rows, for each group.
template <typename T>
struct Sums {
  SumsIn place;  // of the products
  WeightGradients<T> weights;
  GroupSums<T> dgates_x, dgates_h;  // [G·H], [separate_gates()]
  GroupSums<T> block;               // [G·H]

  Sums(const Cut& cut, const RecurrentShape& shape, const RecurrentGradients<T>& gradients)
      : place(place_of(cut, shape)),
        weights(place, cut.groups, shape, gradients),
        dgates_x(cut.groups, shape.gates()),
        dgates_h(cut.groups, shape.separate_gates()),
        block(cut.groups, shape.gates()) {}

  static SumsIn place_of(const Cut& cut, const RecurrentShape& shape) noexcept {
    constexpr size_t kFewRows = 64;  // within one sum of the kernel
    const bool added_once = cut.in_groups() ? shape.t * (shape.n / cut.groups + 1) <= kFewRows : shape.t <= cut.chunk_steps;
    return added_once ? SumsIn::kGradient : SumsIn::kPanels;
  }

  // Rows of a block first, so that no sum runs over many.
  void add_rows(size_t group, size_t rows, size_t width, const T* from, const GroupSums<T>& to) const noexcept {
    T* sums = block.of(group);
    std::fill_n(sums, width, T{0});
    kernels<T>().add_rows(rows, width, from, sums);
    kernels<T>().add(width, sums, to.of(group));
  }
};

// Steps [begin, end) of a group, backward, with all that it adds to the sums.
template <typename T>
void group_backward(const Part<T>& part, const Context<T>& context, size_t begin, size_t end, size_t block_steps, const Block<T>& block,
                    size_t group, const Sums<T>& sums) noexcept {
  const RecurrentShape& shape = part.forward.shape;
  const size_t n = shape.n;
  for (size_t block_end = end; block_end > begin;) {
    const size_t block_begin = begin + (block_end - begin - 1) / block_steps * block_steps;
    const size_t rows = (block_end - block_begin) * n;
    for (size_t first = 0; first < n; first += kMaxSequencesTogether) {
      scan_backward(part, context, block_begin, block_end - block_begin, first, std::min(n, first + kMaxSequencesTogether), block);
    }
    if (sums.place == SumsIn::kPanels) sums.weights.add(group, rows, 0, shape.gates(), block.gradient_rows());
    if (context.cell.reads_sums()) {
      sums.add_rows(group, rows, shape.gates(), block.dgates_x, sums.dgates_x);
      if (shape.separate_gates() > 0) sums.add_rows(group, rows, shape.separate_gates(), block.dgates_h, sums.dgates_h);
    }
    block_end = block_begin;
  }
}

// Steps [begin, end) of all sequences, each group on a thread.
template <typename T>
void chunk_backward_in_groups(const Cut& cut, const Part<T>& all, const Context<T>& context, size_t begin, size_t end,
                              const Chunk<T>& chunk, const Sums<T>& sums) noexcept {
  const RecurrentShape& shape = all.forward.shape;
  const auto first_of = [&](size_t group) { return shape.n * group / cut.groups; };
  const auto block_of = [&](size_t group) { return Block<T>::of(chunk, shape, cut.block_steps, first_of(group)); };
  parallel_for(cut.groups, [&](size_t group) {
    group_backward(all.of(first_of(group), first_of(group + 1)), context, begin, end, cut.block_steps, block_of(group), group, sums);
  });
  if (sums.place == SumsIn::kGradient) {
    parallel_rows(shape.gates(), [&](size_t row, size_t row_end) {
      for (size_t group = 0; group < cut.groups; ++group) {
        sums.weights.add(group, (end - begin) * (first_of(group + 1) - first_of(group)), row, row_end, block_of(group).gradient_rows());
      }
    });
  }
  sums.weights.add_up();
  sums.dgates_x.add_up();
  sums.dgates_h.add_up();
  context.cell.accumulate_sums(sums.dgates_x.of(0), sums.dgates_h.of(0));
  sums.dgates_x.clear(0);
  sums.dgates_h.clear(0);
}

// The same, the sequences cut by the number of threads, and so the rows of the weights' gradients.
template <typename T>
void chunk_backward(const Part<T>& all, const Context<T>& context, size_t begin, size_t end, const Chunk<T>& chunk, const Sums<T>& sums) {
  const RecurrentShape& shape = all.forward.shape;
  const size_t rows = (end - begin) * shape.n;
  const Block<T> block = Block<T>::of(chunk, shape, end - begin, 0);
  parallel_sequences(shape.n, [&](size_t first, size_t last) { scan_backward(all, context, begin, end - begin, first, last, block); });
  parallel_rows(shape.gates(), [&](size_t row, size_t row_end) { sums.weights.add(0, rows, row, row_end, block.gradient_rows()); });
  context.cell.accumulate(rows, block.dgates_x, block.dgates_h);
}

template <typename T>
void backward(const BackwardPass<T>& pass) {
  const RecurrentShape& shape = pass.forward.shape;
  const Cut cut = cut_of(shape);
  const Context<T> context(pass);
  const Chunk<T> chunk(shape, context.cell, cut.block_steps);
  const AlignedBuffer<T> doperand(context.cell.transforms_operand() ? shape.n * shape.p : 0);
  const Sums<T> sums(cut, shape, pass.gradients);
  const Part<T> all = {0, false, pass.forward, pass.doutput, pass.gradients.dstate, doperand.get(), pass.gradients.dinput};
  for (size_t end = shape.t; end > 0;) {
    const size_t begin = (end - 1) / cut.chunk_steps * cut.chunk_steps;
    if (cut.in_groups()) {
      chunk_backward_in_groups(cut, all, context, begin, end, chunk, sums);
    } else {
      chunk_backward(all, context, begin, end, chunk, sums);
    }
    end = begin;
  }
  sums.weights.complete();
}

}  // namespace

template <typename T>
ScanStrategy<T> panels_strategy() noexcept {
  return {"panels", chunk_steps, forward_in_panels<T>, backward<T>};
}

template ScanStrategy<float> panels_strategy() noexcept;
template ScanStrategy<double> panels_strategy() noexcept;

}  // namespace evenkeel
