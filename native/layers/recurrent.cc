#include "layers/recurrent.h"

#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/dense.h"

namespace evenkeel {
namespace {

// Sequences that go through time together on one thread. Fixed, because a product of another height may sum in another order.
constexpr size_t kSequencesPerBlock = 16;

// Time is cut into chunks of about this many rows (a row is one sequence at one step). Within a chunk arrays are time-major, so that a
// step's rows stand together; what a chunk computes is used up while it is in the caches. The cut depends on the shape alone.
constexpr size_t kRowsPerChunk = 2048;

}  // namespace

size_t recurrent_chunk_steps(const RecurrentShape& shape) noexcept { return std::max<size_t>(1, kRowsPerChunk / shape.n); }

namespace {

// [N, T, size] ↔ time-major: chunk[s, n, :] is row (n, begin + s).
template <typename T>
void gather(const RecurrentShape& shape, size_t begin, size_t steps, size_t size, const T* array, T* chunk) noexcept {
  parallel_ranges(shape.n, kSequencesPerBlock, [&](size_t first, size_t end) {
    for (size_t n = first; n < end; ++n) {
      const T* rows = array + (n * shape.t + begin) * size;
      for (size_t s = 0; s < steps; ++s) std::copy_n(rows + s * size, size, chunk + (s * shape.n + n) * size);
    }
  });
}
template <typename T>
void scatter(const RecurrentShape& shape, size_t begin, size_t steps, size_t size, const T* chunk, T* array) noexcept {
  parallel_ranges(shape.n, kSequencesPerBlock, [&](size_t first, size_t end) {
    for (size_t n = first; n < end; ++n) {
      T* rows = array + (n * shape.t + begin) * size;
      for (size_t s = 0; s < steps; ++s) std::copy_n(chunk + (s * shape.n + n) * size, size, rows + s * size);
    }
  });
}

// The arrays of a chunk of at most `steps` steps, time-major.
template <typename T>
struct Chunk {
  AlignedBuffer<T> inputs;                   // x_t [steps, N, I]
  AlignedBuffer<T> states;                   // [steps + 1, N, H]: h before the chunk's first step, then after each
  AlignedBuffer<T> projected;                // x_t W_ihᵀ or its gradient [steps, N, gates · H]
  std::optional<AlignedBuffer<T>> apart;     // operand_t W_hhᵀ or its gradient [steps, N, gates · H], for a cell that has it apart
  std::optional<AlignedBuffer<T>> operands;  // [steps, N, H], for a cell that transforms it

  Chunk(const RecurrentShape& shape, const Cell<T>& cell, size_t steps)
      : inputs(steps * shape.n * shape.i), states((steps + 1) * shape.n * shape.h), projected(steps * shape.n * cell.gates() * shape.h) {
    if (cell.products_apart()) apart.emplace(steps * shape.n * cell.gates() * shape.h);
    if (cell.transforms_operand()) operands.emplace(steps * shape.n * shape.h);
  }

  T* recurrent() const noexcept { return apart ? apart->get() : projected.get(); }
};

template <typename T>
void copy_initial_state(const RecurrentShape& shape, const RecurrentInputs<T>& inputs, T* state) noexcept {
  if (inputs.initial_state == nullptr) {
    std::fill_n(state, shape.n * shape.h, T{0});
  } else {
    std::copy_n(inputs.initial_state, shape.n * shape.h, state);
  }
}

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
    if (chunk.operands) {
      cell.operand(step, previous, chunk.operands->get() + row * h);
      operand = chunk.operands->get() + row * h;
    }
    T* recurrent = chunk.recurrent() + row * width;
    gemm::multiply_transposed(rows, width, h, operand, h, weight_hh, h, chunk.apart ? T{0} : T{1}, recurrent, width);
    cell.forward(
        {step, chunk.projected.get() + row * width, chunk.apart ? recurrent : nullptr, previous, chunk.states.get() + (row + shape.n) * h});
  }
}

// Steps [begin, begin + steps) of sequences [first, end), backward. dstate: ∂L/∂h [N, H] after the chunk's last step, without what comes
// from the output at that step; before its first at the end.
template <typename T>
void scan_backward(const RecurrentShape& shape, const Cell<T>& cell, const T* weight_hh, const T* doutput, size_t begin, size_t steps,
                   size_t first, size_t end, const Chunk<T>& chunk, T* dstate, T* doperand) noexcept {
  const size_t h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - first;
  T* dprevious = dstate + first * h;
  for (size_t s = steps; s-- > 0;) {
    const size_t row = s * shape.n + first;
    const StepRows step{.first = first, .rows = rows, .position = (begin + s) * shape.n + first};
    const T* previous = chunk.states.get() + row * h;
    T* drecurrent = chunk.recurrent() + row * width;
    for (size_t r = 0; r < rows; ++r) kernels<T>().add(h, doutput + ((first + r) * shape.t + begin + s) * h, dprevious + r * h);
    cell.backward({step, previous, chunk.states.get() + (row + shape.n) * h, dprevious, chunk.projected.get() + row * width, drecurrent});
    if (!chunk.operands) {
      gemm::multiply(rows, h, width, drecurrent, width, weight_hh, h, T{0}, dprevious, h);
      continue;
    }
    cell.operand(step, previous, chunk.operands->get() + row * h);
    gemm::multiply(rows, h, width, drecurrent, width, weight_hh, h, T{0}, doperand + first * h, h);
    std::fill_n(dprevious, rows * h, T{0});
    cell.operand_backward(step, previous, doperand + first * h, dprevious);
  }
}

}  // namespace

template <typename T>
void recurrent_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t chunk_steps = std::min(t, recurrent_chunk_steps(shape));
  const Chunk<T> chunk(shape, cell, chunk_steps);
  copy_initial_state(shape, inputs, chunk.states.get());
  for (size_t begin = 0; begin < t; begin += chunk_steps) {
    const size_t steps = std::min(chunk_steps, t - begin);
    gather(shape, begin, steps, i, inputs.input, chunk.inputs.get());
    project(steps * n, i, width, chunk.inputs.get(), inputs.weight_ih, chunk.projected.get());
    parallel_ranges(n, kSequencesPerBlock,
                    [&](size_t first, size_t end) { scan_forward(shape, cell, inputs.weight_hh, begin, steps, first, end, chunk); });
    scatter(shape, begin, steps, h, chunk.states.get() + n * h, output);
    std::copy_n(chunk.states.get() + steps * n * h, n * h, chunk.states.get());
  }
}

template <typename T>
void recurrent_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output,
                        const T* doutput, const RecurrentGradients<T>& gradients) {
  const auto [n, t, i, h] = shape;
  const size_t width = cell.gates() * h;
  const size_t chunk_steps = std::min(t, recurrent_chunk_steps(shape));
  const Chunk<T> chunk(shape, cell, chunk_steps);
  const AlignedBuffer<T> dinputs(chunk_steps * n * i);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * h : 0);
  for (size_t end = t; end > 0;) {
    const size_t begin = (end - 1) / chunk_steps * chunk_steps;
    const size_t steps = end - begin;
    if (begin == 0) {
      copy_initial_state(shape, inputs, chunk.states.get());
      gather(shape, 0, steps, h, output, chunk.states.get() + n * h);
    } else {
      gather(shape, begin - 1, steps + 1, h, output, chunk.states.get());
    }
    gather(shape, begin, steps, i, inputs.input, chunk.inputs.get());
    parallel_ranges(n, kSequencesPerBlock, [&](size_t first, size_t last) {
      scan_backward(shape, cell, inputs.weight_hh, doutput, begin, steps, first, last, chunk, gradients.dstate, doperand.get());
    });
    const T* operands = chunk.operands ? chunk.operands->get() : chunk.states.get();
    accumulate_weight_gradient(steps * n, h, width, chunk.recurrent(), width, operands, h, gradients.dweight_hh);
    accumulate_weight_gradient(steps * n, i, width, chunk.projected.get(), width, chunk.inputs.get(), i, gradients.dweight_ih);
    cell.accumulate(steps * n, chunk.projected.get(), chunk.recurrent());
    project_backward(steps * n, i, width, chunk.projected.get(), inputs.weight_ih, dinputs.get());
    scatter(shape, begin, steps, i, dinputs.get(), gradients.dinput);
    end = begin;
  }
}

#define EVENKEEL_INSTANTIATE(T)                                                                                          \
  template void recurrent_forward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, T*);                 \
  template void recurrent_backward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, const T*, const T*, \
                                   const RecurrentGradients<T>&);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
