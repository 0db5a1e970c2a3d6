#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/dense.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Sequences that go through time together on one thread. Fixed, because a product of another height may sum in another order.
constexpr size_t kSequencesPerBlock = 16;

size_t chunk_steps(const RecurrentShape& shape) noexcept { return steps_for_rows(shape, 2048); }

// Steps [begin, begin + steps) of sequences [first, end), forward.
template <typename T>
void scan_forward(const RecurrentShape& shape, const Cell<T>& cell, const T* weight_hh, size_t begin, size_t steps, size_t first,
                  size_t end, const Chunk<T>& chunk) noexcept {
  const size_t h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  for (size_t s = 0; s < steps; ++s) {
    const size_t row = s * shape.n + first;
    const StepRows step{.first = first, .rows = rows, .position = (begin + s) * shape.n + first};
    const T* previous = chunk.states.get() + row * h;
    const T* operand = previous;
    if (cell.transforms_operand()) {
      cell.operand(step, previous, chunk.operands.get() + row * h);
      operand = chunk.operands.get() + row * h;
    }
    T* recurrent = chunk.recurrent + row * width;
    gemm::multiply_transposed(rows, width, h, operand, h, weight_hh, h, cell.products_apart() ? T{0} : T{1}, recurrent, width);
    cell.forward({step, chunk.projected.get() + row * width, cell.products_apart() ? recurrent : nullptr, previous,
                  chunk.states.get() + (row + shape.n) * h});
  }
}

// Steps [begin, begin + steps) of sequences [first, end), backward. dstate: ∂L/∂h [N, H] after the chunk's last step, without what comes
// from the output at that step; before its first at the end.
template <typename T>
void scan_backward(const RecurrentShape& shape, const Cell<T>& cell, const T* weight_hh, const T* doutput,
                   const StateGradient<T>& state_gradient, size_t begin, size_t steps, size_t first, size_t end, const Chunk<T>& chunk,
                   T* dstate, T* doperand) noexcept {
  const size_t h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  T* dprevious = dstate + first * h;
  for (size_t s = steps; s-- > 0;) {
    const size_t row = s * shape.n + first;
    const StepRows step{
        .first = first, .rows = rows, .position = (begin + s) * shape.n + first, .exponents = state_gradient.exponents(first)};
    const T* previous = chunk.states.get() + row * h;
    T* dprojected = chunk.projected.get() + row * width;
    T* drecurrent = chunk.recurrent + row * width;
    add_rows(rows, h, state_gradient.output_share(step, output_gradient(shape, doutput, first, begin + s), h, {dprevious}), dprevious);
    state_gradient.complete(step, begin + s, dprevious);
    cell.backward({step, previous, chunk.states.get() + (row + shape.n) * h, dprevious, dprojected, drecurrent});
    if (cell.transforms_operand()) {
      cell.operand(step, previous, chunk.operands.get() + row * h);
      gemm::multiply(rows, h, width, drecurrent, width, weight_hh, h, T{0}, doperand + first * h, h);
      std::fill_n(dprevious, rows * h, T{0});
      cell.operand_backward(step, previous, doperand + first * h, dprevious);
    } else {
      gemm::multiply(rows, h, width, drecurrent, width, weight_hh, h, T{0}, dprevious, h);
    }
    state_gradient.unscale(step, width, dprojected);
    if (cell.products_apart()) state_gradient.unscale(step, width, drecurrent);
  }
}

template <typename T>
void forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t most_steps = std::min(t, chunk_steps(shape));
  const Chunk<T> chunk(shape, cell, most_steps);
  copy_initial_state(shape, 0, n, inputs.initial_state, chunk.states.get());
  for (size_t begin = 0; begin < t; begin += most_steps) {
    const size_t steps = std::min(most_steps, t - begin);
    parallel_ranges(n, kSequencesPerBlock,
                    [&](size_t first, size_t end) { gather(shape, first, end, begin, steps, shape.i, inputs.input, chunk.inputs.get()); });
    project(steps * n, i, width, chunk.inputs.get(), inputs.weight_ih, chunk.projected.get());
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t end) {
      scan_forward(shape, cell, inputs.weight_hh, begin, steps, first, end, chunk);
      scatter(shape, first, end, begin, steps, shape.h, chunk.states.get() + shape.n * shape.h, output);
    });
    std::copy_n(chunk.states.get() + steps * n * h, n * h, chunk.states.get());
  }
}

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t most_steps = std::min(t, chunk_steps(shape));
  const Chunk<T> chunk(shape, cell, most_steps);
  const AlignedBuffer<T> dinputs(gradients.dinput == nullptr ? 0 : most_steps * n * i);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * h : 0);
  for (size_t end = t; end > 0;) {
    const size_t begin = (end - 1) / most_steps * most_steps;
    const size_t steps = end - begin;
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t last) {
      gather_states(shape, first, last, begin, steps, inputs, output, chunk.states.get());
      gather(shape, first, last, begin, steps, shape.i, inputs.input, chunk.inputs.get());
      scan_backward(shape, cell, inputs.weight_hh, doutput, state_gradient, begin, steps, first, last, chunk, gradients.dstate,
                    doperand.get());
    });
    accumulate_weight_gradient(steps * n, h, width, chunk.recurrent, width, chunk.recurrent_operands, h, gradients.dweight_hh);
    accumulate_weight_gradient(steps * n, i, width, chunk.projected.get(), width, chunk.inputs.get(), i, gradients.dweight_ih);
    cell.accumulate(steps * n, chunk.projected.get(), chunk.recurrent);
    end = begin;
    if (gradients.dinput == nullptr) continue;
    project_backward(steps * n, i, width, chunk.projected.get(), inputs.weight_ih, dinputs.get());
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t last) {
      scatter(shape, first, last, begin, steps, shape.i, dinputs.get(), gradients.dinput);
    });
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
