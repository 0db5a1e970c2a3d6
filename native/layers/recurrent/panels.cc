#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/group_sums.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Sequences that go through time together: many enough that reading the weights once for all of them costs little, few enough that their
// rows stay in the caches.
constexpr size_t kMaxSequencesTogether = 48;

// How the backward pass is cut, by shape alone. Where weights are few, groups of sequences go through a whole chunk without a word to each
// other, each with sums of its own for the weights' gradients; a block is what a group's chunk has in the caches at a time. Else there is
// one group, and its sums are cut by their rows after each block, which is a chunk then.
struct Cut {
  size_t groups, block_steps, chunk_steps;

  bool in_groups() const noexcept { return block_steps < chunk_steps; }
};

Cut cut_of(const RecurrentShape& shape) noexcept {
  constexpr size_t kFewWeights = size_t{48} << 10;
  constexpr size_t kMostGroups = 32, kRowsPerGroup = 8, kBlockRows = 128, kBlocks = 16, kCommonBlockRows = 256;
  if (shape.h * (shape.h + shape.i) > kFewWeights) {
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

// Every row's result is the same whatever rows are computed with it (multiply_panels), so the cut may follow the number of threads.
size_t thread_parts(size_t n) noexcept {
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
bool are_few(size_t sequences) noexcept {
  constexpr size_t kFullTile = 8;
  return sequences < kFullTile;
}

template <typename T>
struct ForwardScratch {
  static constexpr size_t kStepsAhead = 32;
  AlignedBuffer<T> states[2];  // h_{t−1} and h_t, in turns [N, H]
  size_t steps_ahead;          // whose x_t W_ihᵀ is computed at once
  AlignedBuffer<T> projected;  // x_t W_ihᵀ, then plus operand_t W_hhᵀ: for each thread's sequences [steps_ahead, sequences, gates · H]
  AlignedBuffer<T> apart;      // operand_t W_hhᵀ, for a cell that has it apart
  AlignedBuffer<T> operands;   // [N, H], for a cell that transforms it

  ForwardScratch(const RecurrentShape& shape, const Cell<T>& cell)
      : states{AlignedBuffer<T>(shape.n * shape.h), AlignedBuffer<T>(shape.n * shape.h)},
        steps_ahead(are_few(shape.n / thread_parts(shape.n)) ? kStepsAhead : 1),
        projected(steps_ahead * shape.n * cell.gates() * shape.h),
        apart(cell.products_apart() ? shape.n * cell.gates() * shape.h : 0),
        operands(cell.transforms_operand() ? shape.n * shape.h : 0) {}
};

template <typename T>
struct Weights {
  PackedWeights<T> ih, hh;
};

// x_t W_ihᵀ of steps [begin, begin + steps) of sequences [first, end), to projected [steps, sequences, width].
template <typename T>
void project(const RecurrentShape& shape, const PackedWeights<T>& weight_ih, size_t width, const T* input, size_t begin, size_t steps,
             size_t first, size_t end, T* projected) noexcept {
  for (size_t n = first; n < end; ++n) {
    kernels<T>().multiply_panels(steps, width, weight_ih.times(input + (n * shape.t + begin) * shape.i, shape.i), PackedWeights<T>::none(),
                                 nullptr, 0, projected + (n - first) * width, (end - first) * width);
  }
}

// Sequences [first, end) through all of time.
template <typename T>
void scan_forward(const RecurrentShape& shape, const Cell<T>& cell, const Weights<T>& weights, const T* input, size_t first, size_t end,
                  const ForwardScratch<T>& scratch, T* output) noexcept {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  const auto multiply = kernels<T>().multiply_panels;
  const PanelOperand<T> nothing = PackedWeights<T>::none();
  const std::optional<PlainStep<T>> plain = cell.plain_step();
  const size_t ahead = scratch.steps_ahead;
  for (size_t step = 0; step < t; ++step) {
    const StepRows where{.first = first, .rows = rows, .position = step * n + first};
    const T* previous = scratch.states[step % 2].get() + first * h;
    T* state = scratch.states[(step + 1) % 2].get() + first * h;
    const T* operand = previous;
    if (cell.transforms_operand()) {
      operand = scratch.operands.get() + first * h;
      cell.operand(where, previous, scratch.operands.get() + first * h);
    }
    T* projected = ahead > 1 ? nullptr : cell.projected_place(where);
    if (projected == nullptr) projected = scratch.projected.get() + (ahead * first + step % ahead * rows) * width;
    if (ahead > 1 && step % ahead == 0) {
      project(shape, weights.ih, width, input, step, std::min(ahead, t - step), first, end, projected);
    }
    const T* start = ahead > 1 ? projected : nullptr;
    const PanelOperand<T> input_product = ahead > 1 ? nothing : weights.ih.times(input + (first * t + step) * i, t * i);
    const PanelOperand<T> recurrent_product = weights.hh.times(operand, h);
    T* to = output + (first * t + step) * h;
    if (plain) {
      kernels<T>().multiply_panels_elman_forward(rows, h, input_product, recurrent_product, start, h,
                                                 {plain->nonlinearity, plain->bias, to, t * h}, state, h);
      continue;
    }
    T* recurrent = nullptr;
    if (!cell.products_apart()) {
      multiply(rows, width, input_product, recurrent_product, start, width, projected, width);
    } else {
      recurrent = cell.recurrent_place(where);
      if (recurrent == nullptr) recurrent = scratch.apart.get() + first * width;
      if (start == nullptr) multiply(rows, width, input_product, nothing, nullptr, 0, projected, width);
      multiply(rows, width, recurrent_product, nothing, nullptr, 0, recurrent, width);
    }
    cell.forward({where, projected, recurrent, previous, state, to, t * h});
  }
}

template <typename T>
void forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const Weights<T> weights{PackedWeights<T>::transposed(width, i, inputs.weight_ih),
                           PackedWeights<T>::transposed(width, h, inputs.weight_hh)};
  const ForwardScratch<T> scratch(shape, cell);
  parallel_sequences(n, [&](size_t first, size_t end) {
    copy_initial_state(shape, first, end, inputs.initial_state, scratch.states[0].get());
    scan_forward(shape, cell, weights, inputs.input, first, end, scratch, output);
  });
}

// The backward pass of some of the sequences, those from `origin` on of all `sequences`: the shape and the arrays are theirs alone.
template <typename T>
struct Part {
  size_t origin, sequences;
  bool is_group;  // of Cut, and not cut any further by the number of threads
  RecurrentShape shape;
  RecurrentInputs<T> inputs;
  const T* output;
  const T* doutput;
  T* dstate;    // ∂L/∂h [N, H] after the steps still to do, without what comes from the output at the last of them
  T* doperand;  // [N, H], for a cell that transforms its operand
  T* dinput;    // null where it is not wanted

  Part of(size_t first, size_t end) const noexcept {
    const auto [n, t, i, h] = shape;
    const T* initial_state = inputs.initial_state == nullptr ? nullptr : inputs.initial_state + first * h;
    return {origin + first,
            sequences,
            true,
            {end - first, t, i, h},
            {inputs.input + first * t * i, initial_state, inputs.weight_ih, inputs.weight_hh},
            output + first * t * h,
            doutput == nullptr ? nullptr : doutput + first * t * h,
            dstate + first * h,
            doperand + first * h,
            dinput == nullptr ? nullptr : dinput + first * t * i};
  }
};

// Where a part has its chunk or block, as of Chunk.
template <typename T>
struct Block {
  T* inputs;
  T* states;
  T* projected;
  T* recurrent;
  T* operands;
  const T* recurrent_operands;

  // Of a part whose sequences start with `first`, out of a chunk of all: its rows follow each other.
  static Block of(const Chunk<T>& chunk, const RecurrentShape& shape, size_t width, size_t steps, size_t first) noexcept {
    const size_t rows = steps * first;
    T* states = chunk.states.get() + (rows + first) * shape.h;
    T* operands = chunk.operands.get() + rows * shape.h;
    return {chunk.inputs.get() + rows * shape.i, states,   chunk.projected.get() + rows * width,
            chunk.recurrent + rows * width,      operands, chunk.recurrent_operands == chunk.states.get() ? states : operands};
  }
};

// Steps [begin, begin + steps) of a part's sequences [first, end), backward. The states of the block are there.
template <typename T>
void steps_backward(const Part<T>& part, const Cell<T>& cell, const PackedWeights<T>& weight_hh, const StateGradient<T>& state_gradient,
                    size_t begin, size_t steps, size_t first, size_t end, const Block<T>& block) noexcept {
  const size_t n = part.shape.n, h = part.shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  const auto multiply = kernels<T>().multiply_panels;
  const PanelOperand<T> nothing = PackedWeights<T>::none();
  const size_t sequence = part.origin + first;
  T* dstate = part.dstate + first * h;
  for (size_t s = steps; s-- > 0;) {
    const size_t step = begin + s;
    const size_t row = s * n + first;
    const StepRows where{.first = sequence,
                         .rows = rows,
                         .position = step * part.sequences + sequence,
                         .exponents = state_gradient.exponents(sequence),
                         .cut_by_shape = part.is_group};
    const T* previous = block.states + row * h;
    const auto from_output = [&](size_t of_step) { return output_gradient(part.shape, part.doutput, first, of_step); };
    if (step > 1) prefetch_rows(rows, h, from_output(step - 2));  // the product of the next step starts from these
    T* dprojected = block.projected + row * width;
    T* drecurrent = block.recurrent + row * width;
    T* dapart = cell.products_apart() ? drecurrent : nullptr;
    if (s + 1 == steps) add_rows(rows, h, state_gradient.output_share(where, from_output(step), h, {dstate}), dstate);
    state_gradient.complete(where, step, dstate);
    cell.backward({where, previous, block.states + (row + n) * h, dstate, dprojected, drecurrent});
    // Within the block the product starts from what the output before gives; across blocks, and calls, it is added later.
    const Rows<T> output_before = s == 0 ? Rows<T>{nullptr, 0} : from_output(step - 1);
    const Rows<T> start = state_gradient.output_share(where, output_before, width, {dprojected, dapart});
    if (cell.transforms_operand()) {
      T* doperand = part.doperand + first * h;
      cell.operand(where, previous, block.operands + row * h);
      multiply(rows, h, weight_hh.times(drecurrent, width), nothing, nullptr, 0, doperand, h);
      std::fill_n(dstate, rows * h, T{0});
      cell.operand_backward(where, previous, doperand, dstate);
      add_rows(rows, h, start, dstate);
    } else {
      multiply(rows, h, weight_hh.times(drecurrent, width), nothing, start.data, start.stride, dstate, h);
    }
    state_gradient.unscale(where, width, dprojected);
    if (dapart != nullptr) state_gradient.unscale(where, width, dapart);
  }
}

// ∂L/∂x of the steps: in products of a step's sequences or, where those are few, of a sequence's steps.
template <typename T>
void inputs_backward(const Part<T>& part, const PackedWeights<T>& weight_ih, size_t width, size_t begin, size_t steps, size_t first,
                     size_t end, const Block<T>& block) noexcept {
  const size_t n = part.shape.n, t = part.shape.t, i = part.shape.i;
  const auto multiply = [&](size_t rows, size_t s, size_t sequence, size_t ld_from, size_t ld_to) {
    kernels<T>().multiply_panels(rows, i, weight_ih.times(block.projected + (s * n + sequence) * width, ld_from), PackedWeights<T>::none(),
                                 nullptr, 0, part.dinput + (sequence * t + begin + s) * i, ld_to);
  };
  if (are_few(end - first)) {
    for (size_t sequence = first; sequence < end; ++sequence) multiply(steps, 0, sequence, n * width, i);
  } else {
    for (size_t s = 0; s < steps; ++s) multiply(end - first, s, first, width, t * i);
  }
}

// A block of a part's sequences [first, end): steps [begin, begin + steps), backward, and the arrays that the weights' gradients need.
template <typename T>
void scan_backward(const Part<T>& part, const Cell<T>& cell, const Weights<T>& weights, const StateGradient<T>& state_gradient,
                   size_t begin, size_t steps, size_t first, size_t end, const Block<T>& block) noexcept {
  gather_states(part.shape, first, end, begin, steps, part.inputs, part.output, block.states);
  gather(part.shape, first, end, begin, steps, part.shape.i, part.inputs.input, block.inputs);
  steps_backward(part, cell, weights.hh, state_gradient, begin, steps, first, end, block);
  if (part.dinput != nullptr) inputs_backward(part, weights.ih, cell.gates() * part.shape.h, begin, steps, first, end, block);
}

// What a backward pass sums over all rows, for each group.
template <typename T>
struct Sums {
  SumsIn place;  // of the products
  WeightGradient<T> hh, ih;
  GroupSums<T> dprojected, drecurrent, block;  // [gates · H]

  Sums(const Cut& cut, const RecurrentShape& shape, size_t width, const RecurrentGradients<T>& gradients)
      : place(place_of(cut, shape)),
        hh(place, cut.groups, width, shape.h, gradients.dweight_hh),
        ih(place, cut.groups, width, shape.i, gradients.dweight_ih),
        dprojected(cut.groups, width),
        drecurrent(cut.groups, width),
        block(cut.groups, width) {}

  static SumsIn place_of(const Cut& cut, const RecurrentShape& shape) noexcept {
    constexpr size_t kFewRows = 64;  // within one sum of the kernel
    const bool added_once = cut.in_groups() ? shape.t * (shape.n / cut.groups + 1) <= kFewRows : shape.t <= cut.chunk_steps;
    return added_once ? SumsIn::kGradient : SumsIn::kPanels;
  }

  // Rows [begin, end) of the weights' gradients.
  void add_products(size_t group, size_t rows, size_t begin, size_t end, const Block<T>& from) const noexcept {
    hh.add(group, rows, begin, end, from.recurrent, from.recurrent_operands);
    ih.add(group, rows, begin, end, from.projected, from.inputs);
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
void group_backward(const Part<T>& part, const Cell<T>& cell, const Weights<T>& weights, const StateGradient<T>& state_gradient,
                    size_t begin, size_t end, size_t block_steps, const Block<T>& block, size_t group, const Sums<T>& sums) noexcept {
  const size_t n = part.shape.n;
  const size_t width = cell.gates() * part.shape.h;
  for (size_t block_end = end; block_end > begin;) {
    const size_t block_begin = begin + (block_end - begin - 1) / block_steps * block_steps;
    const size_t rows = (block_end - block_begin) * n;
    for (size_t first = 0; first < n; first += kMaxSequencesTogether) {
      scan_backward(part, cell, weights, state_gradient, block_begin, block_end - block_begin, first,
                    std::min(n, first + kMaxSequencesTogether), block);
    }
    if (sums.place == SumsIn::kPanels) sums.add_products(group, rows, 0, width, block);
    if (cell.reads_sums()) {
      sums.add_rows(group, rows, width, block.projected, sums.dprojected);
      if (cell.products_apart()) sums.add_rows(group, rows, width, block.recurrent, sums.drecurrent);
    }
    block_end = block_begin;
  }
}

// Steps [begin, end) of all sequences, each group on a thread.
template <typename T>
void chunk_backward_in_groups(const Cut& cut, const Part<T>& all, const Cell<T>& cell, const Weights<T>& weights,
                              const StateGradient<T>& state_gradient, size_t begin, size_t end, const Chunk<T>& chunk,
                              const Sums<T>& sums) noexcept {
  const size_t n = all.shape.n;
  const size_t width = cell.gates() * all.shape.h;
  const auto first_of = [&](size_t group) { return n * group / cut.groups; };
  const auto block_of = [&](size_t group) { return Block<T>::of(chunk, all.shape, width, cut.block_steps, first_of(group)); };
  parallel_for(cut.groups, [&](size_t group) {
    group_backward(all.of(first_of(group), first_of(group + 1)), cell, weights, state_gradient, begin, end, cut.block_steps,
                   block_of(group), group, sums);
  });
  if (sums.place == SumsIn::kGradient) {
    parallel_rows(width, [&](size_t row, size_t row_end) {
      for (size_t group = 0; group < cut.groups; ++group) {
        sums.add_products(group, (end - begin) * (first_of(group + 1) - first_of(group)), row, row_end, block_of(group));
      }
    });
  }
  sums.hh.add_up();
  sums.ih.add_up();
  sums.dprojected.add_up();
  sums.drecurrent.add_up();
  const T* dprojected = sums.dprojected.of(0);
  cell.accumulate_sums(dprojected, cell.products_apart() ? sums.drecurrent.of(0) : dprojected);
  sums.dprojected.clear(0);
  sums.drecurrent.clear(0);
}

// The same, the sequences cut by the number of threads, and so the rows of the weights' gradients.
template <typename T>
void chunk_backward(const Part<T>& all, const Cell<T>& cell, const Weights<T>& weights, const StateGradient<T>& state_gradient,
                    size_t begin, size_t end, const Chunk<T>& chunk, const Sums<T>& sums) {
  const size_t rows = (end - begin) * all.shape.n;
  const size_t width = cell.gates() * all.shape.h;
  const Block<T> block = Block<T>::of(chunk, all.shape, width, end - begin, 0);
  parallel_sequences(all.shape.n, [&](size_t first, size_t last) {
    scan_backward(all, cell, weights, state_gradient, begin, end - begin, first, last, block);
  });
  parallel_rows(width, [&](size_t row, size_t row_end) { sums.add_products(0, rows, row, row_end, block); });
  cell.accumulate(rows, block.projected, block.recurrent);
}

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const Cut cut = cut_of(shape);
  const Weights<T> weights{PackedWeights<T>::plain_if(gradients.dinput != nullptr, width, i, inputs.weight_ih),
                           PackedWeights<T>::plain(width, h, inputs.weight_hh)};
  const Chunk<T> chunk(shape, cell, cut.block_steps);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * h : 0);
  const Sums<T> sums(cut, shape, width, gradients);
  const Part<T> all = {0, n, false, shape, inputs, output, doutput, gradients.dstate, doperand.get(), gradients.dinput};
  for (size_t end = t; end > 0;) {
    const size_t begin = (end - 1) / cut.chunk_steps * cut.chunk_steps;
    if (cut.in_groups()) {
      chunk_backward_in_groups(cut, all, cell, weights, state_gradient, begin, end, chunk, sums);
    } else {
      chunk_backward(all, cell, weights, state_gradient, begin, end, chunk, sums);
    }
    end = begin;
  }
  sums.hh.complete();
  sums.ih.complete();
}

}  // namespace

template <typename T>
ScanStrategy<T> panels_strategy() noexcept {
  return {"panels", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> panels_strategy() noexcept;
template ScanStrategy<double> panels_strategy() noexcept;

}  // namespace evenkeel
