#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"
#include "layers/recurrent/tape.h"

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
  return {doutput == nullptr ? nullptr : doutput + (first * shape.steps_apart() + step) * shape.p, shape.steps_apart() * shape.p};
}

// to [rows, size] += from, unless that is null; to: with leading dimension
template <typename T>
void add_rows(size_t rows, size_t size, const Rows<T>& from, T* to, size_t ld) noexcept {
  if (from.data == nullptr) return;
  for (size_t r = 0; r < rows; ++r) kernels<T>().add(size, from.data + r * from.stride, to + r * ld);
}

// Asks the caches for rows that are needed soon: those of one step stand far apart, so that the hardware prefetcher misses them.
template <typename T>
void prefetch_rows(size_t rows, size_t size, const Rows<T>& from) noexcept {
  if (from.data == nullptr) return;
  constexpr size_t kCacheLine = 64;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < size; i += kCacheLine / sizeof(T)) __builtin_prefetch(from.data + r * from.stride + i);
  }
}

// Sequences [first, end) of [N, T, size] ↔ time-major: row (s, n) of the chunk, whose rows are `ld` apart, is row (n, begin + s).
template <typename T>
void gather(const RecurrentShape& shape, size_t first, size_t end, size_t begin, size_t steps, size_t size, const T* array, T* chunk,
            size_t ld) noexcept {
  for (size_t n = first; n < end; ++n) {
    kernels<T>().copy_rows(steps, size, array + (n * shape.steps_apart() + begin) * size, size, chunk + n * ld, shape.n * ld);
  }
}
template <typename T>
void scatter(const RecurrentShape& shape, size_t first, size_t end, size_t begin, size_t steps, size_t size, const T* chunk, size_t ld,
             T* array) noexcept {
  for (size_t n = first; n < end; ++n) {
    kernels<T>().copy_rows(steps, size, chunk + n * ld, shape.n * ld, array + (n * shape.steps_apart() + begin) * size, size);
  }
}

// state_0 of sequences [first, end), to states [N, S].
template <typename T>
void copy_initial_state(const RecurrentShape& shape, size_t first, size_t end, const T* initial_state, T* states) noexcept {
  const size_t begin = first * shape.s;
  const size_t count = (end - first) * shape.s;
  if (initial_state == nullptr) {
    std::fill_n(states + begin, count, T{0});
  } else {
    std::copy_n(initial_state + begin, count, states + begin);
  }
}
// states [N, S] of sequences [first, end), to where the last state is wanted, if it is.
template <typename T>
void copy_final_state(const RecurrentShape& shape, size_t first, size_t end, const T* states, T* final_state) noexcept {
  if (final_state != nullptr) std::copy_n(states + first * shape.s, (end - first) * shape.s, final_state + first * shape.s);
}

// The states that a chunk's backward pass reads, of a pass's sequences [first, end): before its first step, then after each [steps + 1, N,
// S]. origin: what the pass's first sequence is on the tape
template <typename T>
void gather_states(const ForwardPass<T>& pass, const Tape<T>& tape, size_t origin, size_t first, size_t end, size_t begin, size_t steps,
                   T* states) noexcept {
  const RecurrentShape& shape = pass.shape;
  const size_t s = shape.s, p = shape.p;
  if (begin == 0) copy_initial_state(shape, first, end, pass.initial_state, states);
  const size_t skipped = begin == 0 ? 1 : 0;  // rows that are there
  const size_t from = begin + skipped - 1;    // the step of the first one that is not
  const size_t count = steps + 1 - skipped;
  T* to = states + skipped * shape.n * s;
  gather(shape, first, end, from, count, p, pass.output, to, s);
  if (s == p) return;
  for (size_t k = 0; k < count; ++k) {
    const StepRows<T> step = tape.rows(from + k, origin + first, end - first);
    kernels<T>().copy_rows(end - first, s - p, tape.hidden_state(step), s - p, to + (k * shape.n + first) * s + p, s);
  }
}

// The arrays of a chunk of at most `steps` steps, time-major.
template <typename T>
struct Chunk {
  AlignedBuffer<T> inputs;    // x_t [steps, N, I]
  AlignedBuffer<T> states;    // [steps + 1, N, S]: before the chunk's first step, then after each
  AlignedBuffer<T> gates_x;   // as of ForwardStep, or their gradients [steps, N, G·H]
  AlignedBuffer<T> gates_h;   // [steps, N, separate_gates()]
  AlignedBuffer<T> operands;  // [steps, N, P], for a cell that transforms it
  Rows<T> hh_operands;        // what multiplied W_hh at each step: operands, or states [steps, N, P] with leading dimension

  Chunk(const RecurrentShape& shape, const Cell<T>& cell, size_t steps)
      : inputs(steps * shape.n * shape.i),
        states((steps + 1) * shape.n * shape.s),
        gates_x(steps * shape.n * shape.gates()),
        gates_h(steps * shape.n * shape.separate_gates()),
        operands(cell.transforms_operand() ? steps * shape.n * shape.p : 0),
        hh_operands(cell.transforms_operand() ? Rows<T>{operands.get(), shape.p} : Rows<T>{states.get(), shape.s}) {}
};

}  // namespace evenkeel
