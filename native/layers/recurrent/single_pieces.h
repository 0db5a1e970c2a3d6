#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"
#include "layers/recurrent/split_weights.h"

// One sequence at a time, in pieces of time.

namespace evenkeel {

// A step's units are cut into blocks for threads where a block's product takes longer than telling the others about it. Below that one
// thread goes through time, and the products that stand outside the recurrence are the other threads' part. By W_hh's size alone, since the
// cut orders the sums.
inline size_t block_count(const Widths& w) noexcept {
  const size_t weights = w.gates() * w.p;
  constexpr size_t kTwo = size_t{96} * 96, kFour = size_t{256} * 256, kEight = size_t{1024} * 1024;
  return weights < kTwo ? 1 : weights < kFour ? 2 : weights < kEight ? 4 : kMostBlocks;
}

// What a piece leaves for the weights' gradients should stay in L2, its own and the one before. Short pieces, so that the products outside
// the recurrence overlap the scan: filling and draining that pipeline costs a piece each. Longer ones where threads share the steps
// themselves, and nothing is concurrent with them.
inline size_t single_chunk_steps(const RecurrentShape& shape) noexcept {
  const size_t elements = block_count(shape) == 1 ? size_t{32} << 10 : size_t{128} << 10;
  constexpr size_t kFewest = 128, kMost = 1024;
  return std::clamp(elements / (shape.i + shape.gates() + shape.s), kFewest, kMost);
}

// A chunk of one sequence: what is computed without a look at the rest. The sequences of a chunk follow each other, as do the chunks, so
// that parameters' gradients are summed in the same order when a part of the time is computed again.
template <typename T>
struct Piece {
  size_t n, begin, steps;
  const T* input;  // x_begin … [steps, I]
  size_t row;      // of its first step in arrays [N, T, ·]
};

template <typename T>
class Pieces {
 public:
  explicit Pieces(const ForwardPass<T>& pass)
      : shape_(pass.shape), steps_(std::min(pass.shape.t, single_chunk_steps(pass.shape))), input_(pass.input) {}

  size_t count() const noexcept { return (shape_.t + steps_ - 1) / steps_ * shape_.n; }
  size_t most_steps() const noexcept { return steps_; }

  Piece<T> operator[](size_t index) const noexcept {
    const size_t n = index % shape_.n;
    const size_t begin = index / shape_.n * steps_;
    const size_t row = n * shape_.steps_apart() + begin;
    return {.n = n, .begin = begin, .steps = std::min(steps_, shape_.t - begin), .input = input_ + row * shape_.i, .row = row};
  }

 private:
  RecurrentShape shape_;
  size_t steps_;
  const T* input_;
};

// Double-buffered rows: what a step reads, and what the next one will read.
template <typename T>
struct RowPair {
  size_t stride;
  AlignedBuffer<T> rows;

  explicit RowPair(size_t size) : stride(whole_vectors(size)), rows(2 * stride) { std::fill_n(rows.get(), 2 * stride, T{0}); }
  T* at(size_t step) const noexcept { return rows.get() + step % 2 * stride; }

  static size_t whole_vectors(size_t size) noexcept {
    constexpr size_t kLine = 64 / sizeof(T);
    return (size + kLine - 1) / kLine * kLine;
  }
};

// Whether threads may share the units of a step that is not plain.
template <typename T>
bool may_share_units(const Cell<T>& cell) noexcept {
  return !cell.traits.across_units && !cell.transforms_operand() && !cell.plain_step() && cell.widths.p == cell.widths.h;
}

// The blocks that one of `size` threads computes.
inline Range share_of(size_t count, size_t rank, size_t size) noexcept { return {count * rank / size, count * (rank + 1) / size}; }

// As many steps, the units of each on several threads: step(own, progress, k) computes the blocks `own` of step k, and publishes them.
template <typename Step>
void share_steps(size_t blocks, size_t steps, Step&& step) noexcept {
  Progress progress;
  size_t first = 0;  // of a round
  run_together(blocks, [&](size_t rank, size_t size, auto newcomers) {
    const Range own = share_of(blocks, rank, size);
    for (size_t k = first; k < steps; ++k) {
      if (size == 1 && newcomers()) {
        first = k;
        return false;
      }
      step(own, progress, k);
    }
    return true;
  });
}

}  // namespace evenkeel
