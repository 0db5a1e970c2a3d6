#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>

#include "layers/recurrent/chunk.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/single_pieces.h"
#include "layers/recurrent/step.h"

namespace evenkeel {

template <typename T>
struct SingleForward {
  const ForwardPass<T>& pass;
  RecurrentShape shape;
  const Cell<T>& cell;
  std::optional<PlainStep<T>> plain;
  Tape<T> tape;
  Pieces<T> pieces;
  GateWeights<T> ih;
  SplitGateWeights<T> hh;
  AlignedBuffer<T> gates_x;  // of two pieces, in turns [2, steps, G·H]; of a plain step with the bias
  AlignedBuffer<T> gates_h;  // [separate · H]
  AlignedBuffer<T> carried;  // the state before the next piece [N, S]
  AlignedBuffer<T> states;   // state_{t−1} and state_t, in turns [2, S]
  RowPair<T> operands;
  AlignedBuffer<T> sums;  // [H]

  explicit SingleForward(const ForwardPass<T>& of)
      : pass(of),
        shape(of.shape),
        cell(of.cell),
        plain(of.cell.plain_step()),
        tape(of.shape, of.cell.traits, 0, of.tape),
        pieces(of),
        ih(of.shape, of.shape.i, of.weight_ih),
        hh(SplitGateWeights<T>::forward(of)),
        gates_x(2 * pieces.most_steps() * width()),
        gates_h(shape.separate_gates()),
        carried(shape.n * shape.s),
        states(2 * shape.s),
        operands(shape.p),
        sums(shape.h) {
    copy_initial_state(shape, 0, shape.n, of.initial_state, carried.get());
  }

  size_t width() const noexcept { return shape.gates(); }
  T* gates_of_piece(size_t piece) const noexcept { return gates_x.get() + piece % 2 * pieces.most_steps() * width(); }
  T* output_of(const Piece<T>& piece) const noexcept { return pass.output + piece.row * shape.p; }
  T* carried_of(const Piece<T>& piece) const noexcept { return carried.get() + piece.n * shape.s; }

  // Rows of time of one task, and how many tasks a piece's input projection has.
  static constexpr size_t kRowsPerTask = 64;
  size_t projection_tasks(size_t piece) const noexcept {
    return piece < pieces.count() ? (pieces[piece].steps + kRowsPerTask - 1) / kRowsPerTask : 0;
  }

  void project(size_t index, size_t task) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t row = task * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, piece.steps - row);
    T* to = gates_of_piece(index) + row * width();
    const auto multiply = [&](size_t cols, const PackedWeights<T>& weights, T* c) {
      if (cols == 0) return;
      kernels<T>().multiply_panels(rows, cols, weights.times(piece.input + row * shape.i, shape.i), PackedWeights<T>::none(),
                                   plain ? plain->bias : nullptr, 0, c, width());
    };
    multiply(shape.joint_gates(), ih.joint, to);
    multiply(shape.separate_gates(), ih.separate, to + shape.joint_gates());
  }

  // A plain cell's steps, all columns on one thread, which are one block.
  void scan_alone(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.h, operands.at(0));
    kernels<T>().elman_forward_steps(plain->nonlinearity, piece.steps, shape.h, shape.h, hh.joint.matrix(0, 0),
                                     {operands.at(0), gates_of_piece(index), operands.at(1), output_of(piece)});
    std::copy_n(output_of(piece) + (piece.steps - 1) * shape.h, shape.h, carried_of(piece));
  }

  // A plain cell's steps, the columns on several threads.
  void scan_together(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.h, operands.at(0));
    Progress progress;
    size_t first = 0;  // of a round
    run_together(hh.joint.blocks(), [&](size_t rank, size_t size, auto newcomers) {
      const Range own = share_of(hh.joint.blocks(), rank, size);
      for (size_t s = first; s < piece.steps; ++s) {
        if (size == 1 && newcomers()) {
          first = s;
          return false;
        }
        T* state = output_of(piece) + s * shape.h;
        const auto finish = [&](size_t block, const RowMatrix<T>& last, size_t part, const T* start) {
          const Range c = hh.joint.columns(block);
          kernels<T>().elman_forward_steps(plain->nonlinearity, 1, c.size(), 0, last,
                                           {operands.at(s) + part, start, operands.at(s + 1) + c.begin, state + c.begin});
        };
        hh.joint.multiply(own, operands.at(s), gates_of_piece(index) + s * shape.h, sums.get(), &progress, s, finish);
        for (size_t block = own.begin; block < own.end; ++block) progress.publish(block, s + 1);
      }
      return true;
    });
    std::copy_n(output_of(piece) + (piece.steps - 1) * shape.h, shape.h, carried_of(piece));
  }

  // Any cell's steps.
  void scan_by_cell(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t joint = shape.joint_gates();
    const T* previous = carried_of(piece);
    for (size_t k = 0; k < piece.steps; ++k) {
      const size_t t = piece.begin + k;
      const StepRows<T> step{.first = piece.n, .rows = 1, .step = t, .units = shape.h, .tape = tape.at(t, piece.n)};
      const ForwardRows<T> of_step = {.previous = previous,
                                      .state = states.get() + k % 2 * shape.s,
                                      .operand = operands.at(0),
                                      .gates_x = gates_of_piece(index) + k * width(),
                                      .gates_h = gates_h.get(),
                                      .projected = true,
                                      .output = output_of(piece) + k * shape.p,
                                      .ld_output = shape.p};
      step_forward(cell, tape, step, of_step, [&](const Rows<T>& operand, const Gates<T>& gates) {
        // The product reads whole vectors.
        if (operand.data != operands.at(0)) std::copy_n(operand.data, shape.p, operands.at(0));
        if (joint > 0) hh.joint.multiply(operands.at(0), gates.x, gates.x);
        if (shape.separate > 0) hh.separate.multiply(operands.at(0), nullptr, gates.h);
      });
      previous = of_step.state;
    }
    std::copy_n(previous, shape.s, carried_of(piece));
  }

  void scan(size_t piece) const noexcept {
    if (!plain) return scan_by_cell(piece);
    hh.joint.blocks() > 1 ? scan_together(piece) : scan_alone(piece);
  }

  // Whether threads share the columns of each step.
  bool together() const noexcept { return plain && hh.joint.blocks() > 1; }

  // One piece on this thread alone, after those before it.
  void run_alone(size_t piece) const noexcept {
    for (size_t task = 0; task < projection_tasks(piece); ++task) project(piece, task);
    scan(piece);
  }

  // The piece `first` and those after it.
  void run(size_t first = 0) const noexcept {
    parallel_for(projection_tasks(first), [&](size_t task) { project(first, task); });
    for (size_t piece = first; piece < pieces.count(); ++piece) {
      if (together()) scan(piece);
      const size_t scans = together() ? 0 : 1;
      parallel_longest_first(scans + projection_tasks(piece + 1), [&](size_t task) {
        if (task >= scans) return project(piece + 1, task - scans);
        scan(piece);
      });
    }
    copy_final_state(shape, 0, shape.n, carried.get(), pass.final_state);
  }
};

}  // namespace evenkeel
