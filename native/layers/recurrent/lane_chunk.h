#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"

// Sequences in groups, one in each lane of a vector, and the memory of their chunks of time.

namespace evenkeel {

// What a chunk's backward pass leaves should stay in L2.
inline size_t lane_chunk_steps(const RecurrentShape& shape) noexcept {
  constexpr size_t kVectors = 8192, kFewest = 16, kMost = 64;
  return std::clamp(kVectors / (2 * shape.i + shape.p + shape.s + shape.gates() + shape.separate_gates()), kFewest, kMost);
}

// Sequences that go through time together, one in each lane; in the last group lanes may be left over.
struct Group {
  size_t index, first, rows;
};

// The groups in as many parts as there are threads: a group's results do not depend on who goes through it.
template <typename T>
class Groups {
 public:
  explicit Groups(size_t n)
      : n_(n),
        lanes_(kernels<T>().lane_count()),
        count_((n + lanes_ - 1) / lanes_),
        parts_(std::min(count_, static_cast<size_t>(thread_pool::num_threads()))) {}

  size_t count() const noexcept { return count_; }
  size_t parts() const noexcept { return parts_; }

  // body(part, group) for every group, those of a part one after the other.
  template <typename Body>
  void for_each(Body&& body) const noexcept {
    parallel_for(parts_, [&](size_t part) {
      for (size_t index = count_ * part / parts_; index < count_ * (part + 1) / parts_; ++index) {
        body(part, Group{index, index * lanes_, std::min(lanes_, n_ - index * lanes_)});
      }
    });
  }

 private:
  size_t n_, lanes_, count_, parts_;
};

// What a part needs for a group's chunk, in lanes but for `rows`.
template <typename T>
struct LaneChunk {
  T* inputs;    // x_t [steps, I]
  T* states;    // [steps + 1, S]: before the chunk's first step, then after each
  T* gates_x;   // as of ForwardStep, of one step; in a backward pass their gradients [steps, G·H]
  T* gates_h;   // [separate_gates()] likewise
  T* operands;  // what multiplied W_hh, of a cell that transforms it [P], in a backward pass [steps, P]; else null
  // In a backward pass:
  T* doutput;   // ∂L/∂output_t [steps, P]
  T* dinputs;   // [steps, I]
  T* dstate;    // ∂L/∂state_t [S]
  T* doperand;  // [P], of a cell that transforms its operand
  T* ones;      // a vector of ones
  T* rows;      // [lanes, S] or [lanes, G·H], where rows are needed
};

// The sizes of a scan in lanes, and its memory: a chunk for each part.
template <typename T>
class LaneScratch {
 public:
  enum Pass : bool { kForward, kBackward };

  const size_t lanes = kernels<T>().lane_count();
  const size_t i, p, s, width, separate;  // elements of a step in lanes: I, P, S, G·H, separate_gates(), each times `lanes`

  LaneScratch(const RecurrentShape& shape, size_t parts, Pass pass, bool transforms_operand)
      : i(shape.i * lanes),
        p(shape.p * lanes),
        s(shape.s * lanes),
        width(shape.gates() * lanes),
        separate(shape.separate_gates() * lanes),
        pass_(pass),
        transforms_operand_(transforms_operand),
        steps_(std::min(shape.t, lane_chunk_steps(shape))),
        size_(carve(nullptr).second),
        memory_(parts * size_) {}

  LaneChunk<T> chunk(size_t part) const noexcept { return carve(memory_.get() + part * size_).first; }

 private:
  std::pair<LaneChunk<T>, size_t> carve(T* memory) const noexcept {
    size_t used = 0;
    const auto take = [&](size_t count) {
      used += count;
      return memory == nullptr ? nullptr : memory + used - count;
    };
    LaneChunk<T> chunk{};
    const size_t kept = pass_ == kForward ? 1 : steps_;
    chunk.inputs = take(steps_ * i);
    chunk.states = take((steps_ + 1) * s);
    chunk.gates_x = take(kept * width);
    chunk.gates_h = separate == 0 ? nullptr : take(kept * separate);
    chunk.operands = transforms_operand_ ? take(kept * p) : nullptr;
    if (pass_ == kForward) return {chunk, used};
    chunk.doutput = take(steps_ * p);
    chunk.dinputs = take(steps_ * i);
    chunk.dstate = take(s);
    chunk.doperand = transforms_operand_ ? take(p) : nullptr;
    chunk.ones = take(lanes);
    chunk.rows = take(std::max(s, width));
    return {chunk, used};
  }

  Pass pass_;
  bool transforms_operand_;
  size_t steps_, size_;
  AlignedBuffer<T> memory_;
};

// Steps [begin, begin + steps) of the group's rows of [N, T, size] ↔ lanes [steps, size]: the steps of a row follow each other.
template <typename T>
void load(const RecurrentShape& shape, const Group& group, size_t begin, size_t steps, size_t size, const T* array, T* lanes) noexcept {
  kernels<T>().to_lanes(group.rows, steps * size, array + (group.first * shape.steps_apart() + begin) * size, shape.steps_apart() * size,
                        lanes);
}
template <typename T>
void store(const RecurrentShape& shape, const Group& group, size_t begin, size_t steps, size_t size, const T* lanes, T* array) noexcept {
  kernels<T>().from_lanes(group.rows, steps * size, lanes, array + (group.first * shape.steps_apart() + begin) * size,
                          shape.steps_apart() * size);
}

}  // namespace evenkeel
