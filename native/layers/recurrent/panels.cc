#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/dense.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Sequences that go through time together: many enough that reading the weights once for all of them costs little, few enough that their
// rows stay in the caches.
constexpr size_t kMaxSequencesTogether = 48;

// What a chunk's backward pass leaves for the weights' gradients should stay in L2.
size_t chunk_steps(const RecurrentShape& shape) noexcept {
  constexpr size_t kElements = size_t{96} << 10;
  constexpr size_t kFewestRows = 192, kMostRows = 2048;
  return steps_for_rows(shape, std::clamp(kElements / (shape.i + 2 * shape.h), kFewestRows, kMostRows));
}

// Every row's result is the same whatever rows are computed with it (multiply_panels), so the cut may follow the number of threads.
template <typename Body>
void parallel_sequences(size_t n, Body&& body) noexcept {
  const size_t threads = static_cast<size_t>(thread_pool::num_threads());
  const size_t per_thread = (n + threads * kMaxSequencesTogether - 1) / (threads * kMaxSequencesTogether);
  const size_t parts = std::min(n, threads * per_thread);
  parallel_for(parts, [&](size_t part) { body(n * part / parts, n * (part + 1) / parts); });
}

template <typename T>
struct ForwardScratch {
  AlignedBuffer<T> states[2];  // h_{t−1} and h_t, in turns [N, H]
  AlignedBuffer<T> projected;  // x_t W_ihᵀ [N, gates · H], plus operand_t W_hhᵀ
  AlignedBuffer<T> apart;      // operand_t W_hhᵀ, for a cell that has it apart
  AlignedBuffer<T> operands;   // [N, H], for a cell that transforms it

  ForwardScratch(const RecurrentShape& shape, const Cell<T>& cell)
      : states{AlignedBuffer<T>(shape.n * shape.h), AlignedBuffer<T>(shape.n * shape.h)},
        projected(shape.n * cell.gates() * shape.h),
        apart(cell.products_apart() ? shape.n * cell.gates() * shape.h : 0),
        operands(cell.transforms_operand() ? shape.n * shape.h : 0) {}
};

template <typename T>
struct Weights {
  PackedWeights<T> ih, hh;
};

// Sequences [first, end) through all of time.
template <typename T>
void scan_forward(const RecurrentShape& shape, const Cell<T>& cell, const Weights<T>& weights, const T* input, size_t first, size_t end,
                  const ForwardScratch<T>& scratch, T* output) noexcept {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  const auto multiply = kernels<T>().multiply_panels;
  T* projected = scratch.projected.get() + first * width;
  T* recurrent = cell.products_apart() ? scratch.apart.get() + first * width : nullptr;
  for (size_t step = 0; step < t; ++step) {
    const StepRows where{.first = first, .rows = rows, .position = step * n + first};
    const T* previous = scratch.states[step % 2].get() + first * h;
    T* state = scratch.states[(step + 1) % 2].get() + first * h;
    const T* operand = previous;
    if (cell.transforms_operand()) {
      operand = scratch.operands.get() + first * h;
      cell.operand(where, previous, scratch.operands.get() + first * h);
    }
    const PanelOperand<T> input_product = weights.ih.times(input + (first * t + step) * i, t * i);
    const PanelOperand<T> recurrent_product = weights.hh.times(operand, h);
    const PanelOperand<T> nothing = PackedWeights<T>::none();
    multiply(rows, width, input_product, recurrent == nullptr ? recurrent_product : nothing, nullptr, 0, projected, width);
    if (recurrent != nullptr) multiply(rows, width, recurrent_product, nothing, nullptr, 0, recurrent, width);
    cell.forward({where, projected, recurrent, previous, state});
    kernels<T>().copy_rows(rows, h, state, h, output + (first * t + step) * h, t * h);
  }
}

// Steps [begin, begin + steps) of sequences [first, end), backward. dstate: ∂L/∂h [N, H] after the chunk's last step, without what comes
// from the output at that step; before its first at the end.
template <typename T>
void scan_backward(const RecurrentShape& shape, const Cell<T>& cell, const Weights<T>& weights, const T* doutput,
                   const StateGradient<T>& state_gradient, size_t begin, size_t steps, size_t first, size_t end, const Chunk<T>& chunk,
                   T* dstate, T* doperand, T* dinput) noexcept {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  const auto multiply = kernels<T>().multiply_panels;
  const PanelOperand<T> nothing = PackedWeights<T>::none();
  dstate += first * h;
  for (size_t s = steps; s-- > 0;) {
    const size_t step = begin + s;
    const size_t row = s * n + first;
    const StepRows where{.first = first, .rows = rows, .position = step * n + first, .exponents = state_gradient.exponents(first)};
    const T* previous = chunk.states.get() + row * h;
    T* dprojected = chunk.projected.get() + row * width;
    T* drecurrent = chunk.recurrent + row * width;
    T* dapart = cell.products_apart() ? drecurrent : nullptr;
    if (s + 1 == steps) {
      add_rows(rows, h, state_gradient.output_share(where, {doutput + (first * t + step) * h, t * h}, h, {dstate}), dstate);
    }
    state_gradient.complete(where, step, dstate);
    cell.backward({where, previous, chunk.states.get() + (row + n) * h, dstate, dprojected, drecurrent});
    // Within the chunk the product starts from what the output before gives; across chunks, and calls, it is added later.
    const Rows<T> output_before = {s == 0 ? nullptr : doutput + (first * t + step - 1) * h, t * h};
    const Rows<T> start = state_gradient.output_share(where, output_before, width, {dprojected, dapart});
    if (cell.transforms_operand()) {
      cell.operand(where, previous, chunk.operands.get() + row * h);
      multiply(rows, h, weights.hh.times(drecurrent, width), nothing, nullptr, 0, doperand + first * h, h);
      std::fill_n(dstate, rows * h, T{0});
      cell.operand_backward(where, previous, doperand + first * h, dstate);
      if (start.data != nullptr) add_rows(rows, h, start, dstate);
    } else {
      multiply(rows, h, weights.hh.times(drecurrent, width), nothing, start.data, start.stride, dstate, h);
    }
    state_gradient.unscale(where, width, dprojected);
    if (dapart != nullptr) state_gradient.unscale(where, width, dapart);
    multiply(rows, i, weights.ih.times(dprojected, width), nothing, nullptr, 0, dinput + (first * t + step) * i, t * i);
  }
}

// dweight [m, n] += aᵀ b for a [rows, m] and b [rows, n]. Cut into rows of dweight for the threads: add_outer_products sums every element
// in the same order however they are cut. For large matrices, whose rows a tile meets far apart, OpenBLAS is faster.
template <typename T>
void accumulate_outer_products(size_t rows, size_t m, size_t n, const T* a, const T* b, T* dweight) {
  constexpr size_t kLarge = size_t{360} * 360;
  if (m * n >= kLarge) return accumulate_weight_gradient(rows, n, m, a, m, b, n, dweight);
  const size_t parts = static_cast<size_t>(thread_pool::num_threads());
  parallel_for(parts, [&](size_t part) {
    const size_t begin = m * part / parts;
    const size_t end = m * (part + 1) / parts;
    kernels<T>().add_outer_products(rows, end - begin, n, a + begin, m, b, n, dweight + begin * n, n);
  });
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

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t most_steps = std::min(t, chunk_steps(shape));
  const Weights<T> weights{PackedWeights<T>::plain(width, i, inputs.weight_ih), PackedWeights<T>::plain(width, h, inputs.weight_hh)};
  const Chunk<T> chunk(shape, cell, most_steps);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * h : 0);
  for (size_t end = t; end > 0;) {
    const size_t begin = (end - 1) / most_steps * most_steps;
    const size_t steps = end - begin;
    parallel_sequences(n, [&](size_t first, size_t last) {
      gather_states(shape, first, last, begin, steps, inputs, output, chunk.states.get());
      gather(shape, first, last, begin, steps, shape.i, inputs.input, chunk.inputs.get());
      scan_backward(shape, cell, weights, doutput, state_gradient, begin, steps, first, last, chunk, gradients.dstate, doperand.get(),
                    gradients.dinput);
    });
    accumulate_outer_products(steps * n, width, h, chunk.recurrent, chunk.recurrent_operands, gradients.dweight_hh);
    accumulate_outer_products(steps * n, width, i, chunk.projected.get(), chunk.inputs.get(), gradients.dweight_ih);
    cell.accumulate(steps * n, chunk.projected.get(), chunk.recurrent);
    end = begin;
  }
}

}  // namespace

template <typename T>
ScanStrategy<T> panels_strategy() noexcept {
  return {"panels", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> panels_strategy() noexcept;
template ScanStrategy<double> panels_strategy() noexcept;

}  // namespace evenkeel
