#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/spin.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace evenkeel {

constexpr size_t kMostBlocks = 8;

struct Range {
  size_t begin, end;
  size_t size() const noexcept { return end - begin; }
};

// How far each block of columns is, for the threads that compute the others.
class Progress {
 public:
  void publish(size_t block, size_t steps) noexcept { counts_[block].steps.store(steps, std::memory_order_release); }
  void wait(size_t block, size_t steps) const noexcept {
    // Four microseconds: many times what a block of others' columns takes longer than one's own.
    constexpr int kSpins = 100;
    spin_until(kSpins, [&] { return counts_[block].steps.load(std::memory_order_acquire) >= steps; });
  }

 private:
  struct alignas(64) Count {
    std::atomic<size_t> steps{0};
  };
  std::array<Count, kMostBlocks> counts_;
};

// The right operand [k, cols] of one row's product at each step, packed once, in blocks of columns that threads may compute apart. The
// sum of a block runs over its own part of k first, which its thread has just computed, then over block ^ 1's, then over the two beyond:
// whatever number of threads the blocks are given to, each of them has work at hand while it waits for the others.
template <typename T>
class SplitWeights {
 public:
  // b[k, col] stands at b + k · k_stride + col · col_stride   blocks: a power of two   Throws std::bad_alloc.
  SplitWeights(size_t blocks, size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride)
      : blocks_(blocks), cuts_(k, cols, blocks), packed_(cuts_.size) {
    parallel_for(blocks * blocks, [&](size_t index) {
      const Range c = columns(index / blocks_);
      const Range p = part(index % blocks_);
      T* to = packed_.get() + cuts_.offsets[index / blocks_][index % blocks_];
      kernels<T>().pack_row_matrix(p.size(), c.size(), b + p.begin * k_stride + c.begin * col_stride, k_stride, col_stride, to);
    });
  }

  size_t blocks() const noexcept { return blocks_; }
  // The columns of a block, and the k of a part: there are as many parts as blocks.
  Range columns(size_t block) const noexcept { return cuts_.columns[block]; }
  Range part(size_t index) const noexcept { return cuts_.parts[index]; }
  RowMatrix<T> matrix(size_t block, size_t part_index) const noexcept {
    return {packed_.get() + cuts_.offsets[block][part_index], part(part_index).size()};
  }
  // For a product over no k.
  RowMatrix<T> nothing() const noexcept { return {packed_.get(), 0}; }

  // The row's product for the blocks `own`, in whose last part finish(block, matrix, begin of the part, start) takes over. Parts of other
  // blocks are read once they have made `steps` steps; null for no waiting. a: [k], as multiply_row takes it   start: [cols] or null for
  // zeros   sums: [cols], in between
  template <typename Finish>
  void multiply(Range own, const T* a, const T* start, T* sums, const Progress* progress, size_t steps, Finish&& finish) const noexcept {
    const bool back = steps % 2 == 1;
    const auto product = [&](size_t block, size_t turn) {
      const size_t p = block ^ turn;
      const bool other = p < own.begin || p >= own.end;
      if (progress != nullptr && other) progress->wait(p, steps);
      const Range c = columns(block);
      RowMatrix<T> weights = matrix(block, p);
      weights.from_last = back;
      const T* from = turn == 0 ? start : sums;
      if (from != nullptr) from += c.begin;
      if (turn + 1 < blocks_) {
        kernels<T>().multiply_row(c.size(), a + part(p).begin, weights, from, sums + c.begin);
      } else {
        finish(block, weights, part(p).begin, from);
      }
    };
    if (own.size() == blocks_) {
      // Nobody to wait for: block by block, at every other step from the last on, since the first cache still has some of what the step
      // before ended with.
      for (size_t i = 0; i < blocks_; ++i) {
        for (size_t turn = 0; turn < blocks_; ++turn) product(back ? blocks_ - 1 - i : i, turn);
      }
    } else {
      for (size_t turn = 0; turn < blocks_; ++turn) {
        for (size_t block = own.begin; block < own.end; ++block) product(block, turn);
      }
    }
  }

  // All of it, on this thread: c = start + a b. start: may be c
  void multiply(const T* a, const T* start, T* c) const noexcept {
    multiply({0, blocks_}, a, start, c, nullptr, 0, [&](size_t block, const RowMatrix<T>& last, size_t begin, const T* from) {
      kernels<T>().multiply_row(columns(block).size(), a + begin, last, from, c + columns(block).begin);
    });
  }

 private:
  // Looked up in each step, where a few divisions would take as long as a part of the product. Blocks stand one after the other, and in
  // each its parts in the order of their turns.
  struct Cuts {
    std::array<Range, kMostBlocks> columns, parts;
    std::array<std::array<size_t, kMostBlocks>, kMostBlocks> offsets;  // of a block's part
    size_t size = 0;

    Cuts(size_t k, size_t cols, size_t blocks) noexcept {
      const size_t lanes = kernels<T>().row_lanes();
      const auto vectors = [lanes](size_t count) { return (count + lanes - 1) / lanes; };
      const auto cut = [&](size_t count, size_t index) {
        const auto end = [&](size_t i) { return std::min(count, vectors(count) * i / blocks * lanes); };
        return Range{end(index), end(index + 1)};
      };
      for (size_t block = 0; block < blocks; ++block) {
        columns[block] = cut(cols, block);
        parts[block] = cut(k, block);
      }
      for (size_t block = 0; block < blocks; ++block) {
        for (size_t turn = 0; turn < blocks; ++turn) {
          offsets[block][block ^ turn] = size;
          size += vectors(parts[block ^ turn].size()) * lanes * vectors(columns[block].size()) * lanes;
        }
      }
    }
  };

  size_t blocks_;
  Cuts cuts_;
  AlignedBuffer<T> packed_;
};

}  // namespace evenkeel
