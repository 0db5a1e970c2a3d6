#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/spin.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/cells/cell.h"

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

// W_hh as the right operand of one row's product at each step, packed once, in blocks that threads may compute separately. A block is a
// range of columns: forward of units, with all their gates; backward of the operand's, summed over all gates. The sum of a block runs over
// its own part of k first, which its thread has just computed, then over block ^ 1's, then over the two beyond: whatever number of threads
// the blocks are given to, each of them has work at hand while it waits for the others.
template <typename T>
class SplitWeights {
 public:
  // For operand W_hhᵀ, each gate by itself [P]·[P, H].   blocks: a power of two   packs: else there is no matrix(), and
  // multiply_unpacked() gives the same bits: for so few steps that to write the weights packed would cost more than the products
  // Throws std::bad_alloc.
  static SplitWeights forward(size_t blocks, const Widths& w, const T* weight_hh, bool packs = true) {
    return SplitWeights(blocks, w, w.p, w.h, {weight_hh, w.h * w.p, 1, w.p}, packs);
  }
  // For dgates W_hh, Σ over the gates of [H]·[H, P].
  static SplitWeights backward(size_t blocks, const Widths& w, const T* weight_hh) {
    return SplitWeights(blocks, w, w.h, w.p, {weight_hh, w.h * w.p, w.p, 1}, true);
  }

  size_t blocks() const noexcept { return blocks_; }
  // The columns of a block, and the k of a part: there are as many parts as blocks.
  Range columns(size_t block) const noexcept { return cuts_.columns[block]; }
  Range part(size_t index) const noexcept { return cuts_.parts[index]; }
  // from_last: as of RowMatrix
  RowMatrix<T> matrix(size_t block, size_t of_part, size_t gate, bool from_last = false) const noexcept {
    return {packed_.get() + cuts_.offsets[block][of_part] + gate * cuts_.sizes[block][of_part], part(of_part).size(), from_last};
  }
  // Of the gates [gate, gate + count).
  RowMatrices<T> matrices(size_t block, size_t of_part, size_t gate, size_t count, bool from_last = false) const noexcept {
    const RowMatrix<T> first = matrix(block, of_part, gate, from_last);
    return {count, first.packed, cuts_.sizes[block][of_part], first.k, from_last};
  }
  // Elements that multiply_unpacked() needs.
  size_t piece_size() const noexcept {
    const size_t lanes = kernels<T>().row_lanes();
    return (cuts_.largest_part + lanes - 1) / lanes * lanes * kPieceVectors * lanes;
  }
  // c = start + a b for what would be matrix(block, of_part, gate), packed a few columns at a time, in memory that stays in L1.
  void multiply_unpacked(size_t block, size_t of_part, size_t gate, const T* a, const T* start, T* c, T* piece) const noexcept {
    const Range all = columns(block), p = part(of_part);
    const size_t most = kPieceVectors * kernels<T>().row_lanes();
    for (size_t col = 0; col < all.size(); col += most) {
      const size_t cols = std::min(most, all.size() - col);
      kernels<T>().pack_row_matrix(p.size(), cols, from_.at(gate, p.begin, all.begin + col), from_.k_stride, from_.col_stride, piece);
      kernels<T>().multiply_row(cols, a, {piece, p.size()}, start == nullptr ? nullptr : start + col, c + col);
    }
  }
  // For a product over no k.
  RowMatrix<T> nothing() const noexcept { return {packed_.get(), 0}; }

  // product(block, part, turn, from_last) for the blocks `own` and all parts of each, from turn 0 on. Parts of other blocks are read once
  // they have made `steps` steps; null for no waiting.
  template <typename Product>
  void for_each(Range own, const Progress* progress, size_t steps, Product&& product) const noexcept {
    const bool back = steps % 2 == 1;
    const auto take = [&](size_t block, size_t turn) {
      const size_t p = block ^ turn;
      const bool other = p < own.begin || p >= own.end;
      if (progress != nullptr && other) progress->wait(p, steps);
      product(block, p, turn, back);
    };
    if (own.size() == blocks_) {
      // Nobody to wait for: block by block, at every other step from the last on, since the first cache still has some of what the step
      // before ended with.
      for (size_t i = 0; i < blocks_; ++i) {
        for (size_t turn = 0; turn < blocks_; ++turn) take(back ? blocks_ - 1 - i : i, turn);
      }
    } else {
      for (size_t turn = 0; turn < blocks_; ++turn) {
        for (size_t block = own.begin; block < own.end; ++block) take(block, turn);
      }
    }
  }
  Range all() const noexcept { return {0, blocks_}; }

 private:
  static constexpr size_t kPieceVectors = 4;

  // Where each gate's b[k, col] stands.
  struct Strides {
    const T* b;
    size_t gate_stride, k_stride, col_stride;
    const T* at(size_t gate, size_t k, size_t col) const noexcept { return b + gate * gate_stride + k * k_stride + col * col_stride; }
  };

  SplitWeights(size_t blocks, const Widths& w, size_t k, size_t cols, const Strides& from, bool packs)
      : blocks_(blocks), from_(from), cuts_(k, cols, blocks, w.g - w.own), packed_(packs ? cuts_.size : 0) {
    if (!packs) return;
    parallel_for(blocks * blocks, [&](size_t index) {
      const size_t block = index / blocks_, of_part = index % blocks_;
      const Range c = columns(block), p = part(of_part);
      for (size_t gate = 0; gate < w.g - w.own; ++gate) {
        T* to = packed_.get() + cuts_.offsets[block][of_part] + gate * cuts_.sizes[block][of_part];
        kernels<T>().pack_row_matrix(p.size(), c.size(), from.at(gate, p.begin, c.begin), from.k_stride, from.col_stride, to);
      }
    });
  }

  // Looked up in each step, where a few divisions would take as long as a part of the product. Blocks stand one after the other, in each
  // its parts in the order of their turns, and in these the gates.
  struct Cuts {
    std::array<Range, kMostBlocks> columns, parts;
    std::array<std::array<size_t, kMostBlocks>, kMostBlocks> offsets;  // of a block's part
    std::array<std::array<size_t, kMostBlocks>, kMostBlocks> sizes;    // of its part of one gate
    size_t size = 0;
    size_t largest_part = 0;

    Cuts(size_t k, size_t cols, size_t blocks, size_t gates) noexcept {
      const size_t lanes = kernels<T>().row_lanes();
      const auto vectors = [lanes](size_t count) { return (count + lanes - 1) / lanes; };
      const auto cut = [&](size_t count, size_t index) {
        const auto end = [&](size_t i) { return std::min(count, vectors(count) * i / blocks * lanes); };
        return Range{end(index), end(index + 1)};
      };
      for (size_t block = 0; block < blocks; ++block) {
        columns[block] = cut(cols, block);
        parts[block] = cut(k, block);
        largest_part = std::max(largest_part, parts[block].size());
      }
      for (size_t block = 0; block < blocks; ++block) {
        for (size_t turn = 0; turn < blocks; ++turn) {
          const size_t part = block ^ turn;
          offsets[block][part] = size;
          sizes[block][part] = vectors(parts[part].size()) * lanes * vectors(columns[block].size()) * lanes;
          size += gates * sizes[block][part];
        }
      }
    }
  };

  size_t blocks_;
  Strides from_;
  Cuts cuts_;
  AlignedBuffer<T> packed_;
};

}  // namespace evenkeel
