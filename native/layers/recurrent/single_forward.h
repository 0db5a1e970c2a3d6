#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/spans.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/kept_weights.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/single_pieces.h"
#include "layers/recurrent/step.h"

namespace evenkeel {

template <typename T>
struct SingleForward {
  // What a pass packs for itself.
  struct OwnWeights {
    GateWeights<T> ih;
    SplitWeights<T> hh;

    OwnWeights(const ForwardPass<T>& pass, bool packs)
        : ih(packs ? GateWeights<T>::of_input(pass.shape, pass.weight_ih) : GateWeights<T>(0, 0, 0, nullptr)),
          hh(SplitWeights<T>::forward(block_count(pass.shape), pass.shape, pass.weight_hh, packs)) {}
  };

  const ForwardPass<T>& pass;
  RecurrentShape shape;
  const Cell<T>& cell;
  std::optional<PlainStep<T>> plain;
  Tape<T> tape;
  bool few_steps;  // too few for packed weights: the products take them piece by piece, with the same bits
  Pieces<T> pieces;
  std::optional<OwnWeights> own;
  const GateWeights<T>& ih;
  const SplitWeights<T>& hh;
  AlignedBuffer<T> panels;         // where there are few steps: a panel of W_ihᵀ for each task
  AlignedBuffer<T> weight_pieces;  // likewise of W_hhᵀ, for each block
  AlignedBuffer<T> gates_x;        // of two pieces, in turns [2, steps, G·H]; of a plain step with the bias
  AlignedBuffer<T> gates_h;        // [separate_gates()]
  AlignedBuffer<T> carried;        // the state before the next piece [N, S]
  RowPair<T> states;               // state_{t−1} and state_t [S]
  RowPair<T> operands;             // likewise [P]
  AlignedBuffer<T> sums;           // [H]

  explicit SingleForward(const ForwardPass<T>& of)
      : pass(of),
        shape(of.shape),
        cell(of.cell),
        plain(of.cell.plain_step()),
        tape(of.shape, of.cell.traits, 0, of.tape),
        few_steps(of.kept == nullptr && !plain && of.shape.n * of.shape.t <= kFewSteps),
        pieces(of),
        ih(of.kept == nullptr ? own.emplace(of, !few_steps).ih : of.kept->panels.ih),
        hh(of.kept == nullptr ? own->hh : of.kept->rows),
        panels(few_steps ? column_tasks() * shape.i * kernels<T>().panel_columns() : 0),
        weight_pieces(few_steps ? hh.blocks() * hh.piece_size() : 0),
        gates_x(2 * pieces.most_steps() * width()),
        gates_h(shape.separate_gates()),
        carried(shape.n * shape.s),
        states(shape.s),
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
  static constexpr size_t kFewSteps = 2;
  size_t projection_tasks(size_t piece) const noexcept {
    if (few_steps) return piece < pieces.count() ? column_tasks() : 0;
    return piece < pieces.count() ? (pieces[piece].steps + kRowsPerTask - 1) / kRowsPerTask : 0;
  }

  // Where there are few steps, the tasks have columns each; fewer than so many weights take less time than telling another thread of them.
  size_t column_tasks() const noexcept {
    constexpr size_t kMany = size_t{64} << 10, kTasks = 8;
    return width() * shape.i < kMany ? 1 : kTasks;
  }
  // A task's columns, a panel at a time.
  void project_columns(size_t index, size_t task) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t panel = kernels<T>().panel_columns(), count = (width() + panel - 1) / panel;
    T* packed = panels.get() + task * shape.i * panel;
    for (size_t k = count * task / column_tasks(); k < count * (task + 1) / column_tasks(); ++k) {
      const size_t cols = std::min(panel, width() - k * panel);
      kernels<T>().pack_panels(shape.i, cols, pass.weight_ih + k * panel * shape.i, 1, shape.i, packed);
      kernels<T>().multiply_panels(piece.steps, cols, {piece.input, shape.i, packed, shape.i}, PackedWeights<T>::none(), nullptr, 0,
                                   gates_of_piece(index) + k * panel, width());
    }
  }

  void project(size_t index, size_t task) const noexcept {
    const Span span("products with W_ih", index);
    if (few_steps) return project_columns(index, task);
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
    multiply(shape.input_gates(), ih.separate, to + shape.joint_gates());
  }

  // A plain cell's steps, all units on one thread, which are one block.
  void scan_alone(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.h, operands.at(0));
    kernels<T>().elman_forward_steps(plain->nonlinearity, piece.steps, shape.h, shape.h, hh.matrix(0, 0, 0),
                                     {operands.at(0), gates_of_piece(index), operands.at(1), output_of(piece)});
    std::copy_n(output_of(piece) + (piece.steps - 1) * shape.h, shape.h, carried_of(piece));
  }

  // A plain cell's steps, the units on several threads.
  void scan_together(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.h, operands.at(0));
    share_steps(hh.blocks(), piece.steps, [&](const Range& own, Progress& progress, size_t k) {
      const T* a = operands.at(k);
      hh.for_each(own, &progress, k, [&](size_t block, size_t part, size_t turn, bool back) {
        const Range c = hh.columns(block);
        const T* start = turn == 0 ? gates_of_piece(index) + k * shape.h + c.begin : sums.get() + c.begin;
        const size_t from = hh.part(part).begin;
        const RowMatrix<T> weights = hh.matrix(block, part, 0, back);
        if (turn + 1 < hh.blocks()) return kernels<T>().multiply_row(c.size(), a + from, weights, start, sums.get() + c.begin);
        kernels<T>().elman_forward_steps(
            plain->nonlinearity, 1, c.size(), 0, weights,
            {operands.at(k) + from, start, operands.at(k + 1) + c.begin, output_of(piece) + k * shape.h + c.begin});
      });
      for (size_t block = own.begin; block < own.end; ++block) progress.publish(block, k + 1);
    });
    std::copy_n(output_of(piece) + (piece.steps - 1) * shape.h, shape.h, carried_of(piece));
  }

  StepRows<T> step_of(const Piece<T>& piece, size_t k) const noexcept { return tape.rows(piece.begin + k, piece.n, 1); }
  ForwardRows<T> rows_of(size_t index, const Piece<T>& piece, size_t k) const noexcept {
    return {.previous = states.at(k),
            .state = states.at(k + 1),
            .operand = operands.at(0),
            .gates_x = gates_of_piece(index) + k * width(),
            .gates_h = gates_h.get(),
            .projected = true,
            .output = output_of(piece) + k * shape.p,
            .ld_output = shape.p};
  }

  // The products of the blocks `own` for all their gates. operand: of whole vectors
  void multiply_gates(const Range& own, const T* operand, const Progress* progress, size_t steps, const Gates<T>& gates) const noexcept {
    const size_t joint = shape.g - shape.separate;
    hh.for_each(own, progress, steps, [&](size_t block, size_t part, size_t turn, bool back) {
      const Range c = hh.columns(block);
      const T* a = operand + hh.part(part).begin;
      const auto multiply = [&](size_t first, size_t count, const T* start, T* to) {
        if (!few_steps) {
          return kernels<T>().multiply_row_by_each(c.size(), a, hh.matrices(block, part, first, count, back), start, to, shape.h);
        }
        T* memory = weight_pieces.get() + block * hh.piece_size();
        for (size_t gate = 0; gate < count; ++gate) {
          T* to_gate = to + gate * shape.h;
          hh.multiply_unpacked(block, part, first + gate, a, start == nullptr ? nullptr : to_gate, to_gate, memory);
        }
      };
      multiply(0, joint, gates.x + c.begin, gates.x + c.begin);
      if (joint == shape.g - shape.own) return;
      multiply(joint, shape.g - shape.own - joint, turn == 0 ? nullptr : gates.h + c.begin, gates.h + c.begin);
    });
  }

  // Any cell's steps, on one thread.
  void scan_by_cell(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.s, states.at(0));
    for (size_t k = 0; k < piece.steps; ++k) {
      step_forward(cell, tape, step_of(piece, k), rows_of(index, piece, k), [&](const Rows<T>& operand, const Gates<T>& gates) {
        const bool whole = shape.p == RowPair<T>::whole_vectors(shape.p);
        if (!whole && operand.data != operands.at(0)) std::copy_n(operand.data, shape.p, operands.at(0));
        multiply_gates(hh.all(), whole ? operand.data : operands.at(0), nullptr, 0, gates);
      });
    }
    std::copy_n(states.at(piece.steps), shape.s, carried_of(piece));
  }

  // The same, the units on several threads.
  void scan_in_blocks(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(carried_of(piece), shape.s, states.at(0));
    std::copy_n(carried_of(piece), shape.p, operands.at(0));
    share_steps(hh.blocks(), piece.steps, [&](const Range& own, Progress& progress, size_t k) {
      StepRows<T> step = step_of(piece, k);
      const ForwardRows<T> rows = rows_of(index, piece, k);
      const Gates<T> gates = gates_of(cell, step, rows);
      multiply_gates(own, operands.at(k), &progress, k, gates);
      for (size_t block = own.begin; block < own.end; ++block) {
        const Range c = hh.columns(block);
        step.unit = c.begin;
        step.units = c.size();
        finish_forward(cell, tape, step, rows, gates);
        std::copy_n(rows.state + c.begin, c.size(), operands.at(k + 1) + c.begin);
        progress.publish(block, k + 1);
      }
    });
    std::copy_n(states.at(piece.steps), shape.s, carried_of(piece));
  }

  void scan(size_t piece) const noexcept {
    const Span span("forward steps", piece);
    if (plain) return together() ? scan_together(piece) : scan_alone(piece);
    together() ? scan_in_blocks(piece) : scan_by_cell(piece);
  }

  // Whether threads share the units of each step.
  bool together() const noexcept { return hh.blocks() > 1 && (plain || may_share_units(cell)); }

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
