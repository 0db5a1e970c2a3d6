#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"

// Time in chunks, for every strategy. Within a chunk arrays are time-major, so that a step's rows stand together; what a chunk computes is
// used up while it is in the caches.

namespace evenkeel {

// Steps for about so many rows; a row is one sequence at one step.
inline size_t steps_for_rows(const RecurrentShape& shape, size_t rows) noexcept { return std::max<size_t>(1, rows / shape.n); }

// body(begin, end) over rows, which no row's result depends on.
template <typename Body>
void parallel_rows(size_t rows, Body&& body) noexcept {
  const size_t parts = std::min(rows, static_cast<size_t>(thread_pool::num_threads()));
  parallel_for(parts, [&](size_t part) { body(rows * part / parts, rows * (part + 1) / parts); });
}

// ∂L/∂output at a step, of sequences from `first` on; null where nothing comes from the outputs.
template <typename T>
Rows<T> output_gradient(const RecurrentShape& shape, const T* doutput, size_t first, size_t step) noexcept {
  return {doutput == nullptr ? nullptr : doutput + (first * shape.t + step) * shape.h, shape.t * shape.h};
}

// to [rows, size] packed += from, unless that is null
template <typename T>
void add_rows(size_t rows, size_t size, const Rows<T>& from, T* to) noexcept {
  if (from.data == nullptr) return;
  for (size_t r = 0; r < rows; ++r) kernels<T>().add(size, from.data + r * from.stride, to + r * size);
}

// Asks the caches for rows that are needed soon: those of one step stand far apart, where a processor does not foresee them.
template <typename T>
void prefetch_rows(size_t rows, size_t size, const Rows<T>& from) noexcept {
  if (from.data == nullptr) return;
  constexpr size_t kCacheLine = 64;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < size; i += kCacheLine / sizeof(T)) __builtin_prefetch(from.data + r * from.stride + i);
  }
}

// Sequences [first, end) of [N, T, size] ↔ time-major: chunk[s, n, :] is row (n, begin + s).
template <typename T>
void gather(const RecurrentShape& shape, size_t first, size_t end, size_t begin, size_t steps, size_t size, const T* array,
            T* chunk) noexcept {
  for (size_t n = first; n < end; ++n) {
    kernels<T>().copy_rows(steps, size, array + (n * shape.t + begin) * size, size, chunk + n * size, shape.n * size);
  }
}
template <typename T>
void scatter(const RecurrentShape& shape, size_t first, size_t end, size_t begin, size_t steps, size_t size, const T* chunk,
             T* array) noexcept {
  for (size_t n = first; n < end; ++n) {
    kernels<T>().copy_rows(steps, size, chunk + n * size, shape.n * size, array + (n * shape.t + begin) * size, size);
  }
}

// h_0 of sequences [first, end), to states [N, H].
template <typename T>
void copy_initial_state(const RecurrentShape& shape, size_t first, size_t end, const T* initial_state, T* states) noexcept {
  const size_t begin = first * shape.h;
  const size_t count = (end - first) * shape.h;
  if (initial_state == nullptr) {
    std::fill_n(states + begin, count, T{0});
  } else {
    std::copy_n(initial_state + begin, count, states + begin);
  }
}

// The states that a chunk's backward pass reads, of sequences [first, end): h before its first step, then after each [steps + 1, N, H].
template <typename T>
void gather_states(const RecurrentShape& shape, size_t first, size_t end, size_t begin, size_t steps, const RecurrentInputs<T>& inputs,
                   const T* output, T* states) noexcept {
  if (begin > 0) return gather(shape, first, end, begin - 1, steps + 1, shape.h, output, states);
  copy_initial_state(shape, first, end, inputs.initial_state, states);
  gather(shape, first, end, 0, steps, shape.h, output, states + shape.n * shape.h);
}

// The arrays of a chunk of at most `steps` steps, time-major.
template <typename T>
struct Chunk {
  AlignedBuffer<T> inputs;      // x_t [steps, N, I]
  AlignedBuffer<T> states;      // [steps + 1, N, H]: h before the chunk's first step, then after each
  AlignedBuffer<T> projected;   // x_t W_ihᵀ or its gradient [steps, N, gates · H]
  AlignedBuffer<T> apart;       // operand_t W_hhᵀ or its gradient [steps, N, gates · H], for a cell that has it apart
  AlignedBuffer<T> operands;    // [steps, N, H], for a cell that transforms it
  T* recurrent;                 // apart, or projected
  const T* recurrent_operands;  // what multiplied W_hh at each step: operands, or states

  Chunk(const RecurrentShape& shape, const Cell<T>& cell, size_t steps)
      : inputs(steps * shape.n * shape.i),
        states((steps + 1) * shape.n * shape.h),
        projected(steps * shape.n * cell.gates() * shape.h),
        apart(cell.products_apart() ? steps * shape.n * cell.gates() * shape.h : 0),
        operands(cell.transforms_operand() ? steps * shape.n * shape.h : 0),
        recurrent(cell.products_apart() ? apart.get() : projected.get()),
        recurrent_operands(cell.transforms_operand() ? operands.get() : states.get()) {}
};

}  // namespace evenkeel
