#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <new>
#include <optional>

#include "core/spans.h"
#include "kernels/gemm.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/single_forward.h"
#include "layers/recurrent/single_pieces.h"
#include "layers/recurrent/step.h"

namespace evenkeel {

template <typename T>
struct SingleBackward {
  const BackwardPass<T>& pass;
  RecurrentShape shape;
  const Cell<T>& cell;
  std::optional<PlainStep<T>> plain;  // where nothing is asked about the state's gradient
  const StateGradient<T>& state_gradient;
  const RecurrentGradients<T>& gradients;
  Tape<T> tape;
  Pieces<T> pieces;
  PackedWeights<T> ih;
  SplitWeights<T> hh;
  AlignedBuffer<T> zeros;     // [S], where there is no state before the first step
  AlignedBuffer<T> states;    // of two pieces, in turns [2, steps + 1, S], where the output does not hold them
  AlignedBuffer<T> gates_x;   // gradients as of BackwardStep likewise [2, steps, G·H]
  AlignedBuffer<T> gates_h;   // [2, steps, separate_gates()]
  AlignedBuffer<T> operands;  // [2, steps, P], for a cell that transforms it
  AlignedBuffer<T> doperand;  // [P], for such a cell
  AlignedBuffer<T> turned;    // a piece's share of ∂L/∂W_ih, transposed, where inputs are few
  size_t gate_stride;         // whole vectors of H
  RowPair<T> das;             // the gradients of all gates, as operands of a product
  AlignedBuffer<T> sums;      // [H]
  const T* output;
  const T* doutput;
  mutable std::atomic<bool> out_of_memory{false};

  explicit SingleBackward(const BackwardPass<T>& of)
      : pass(of),
        shape(of.forward.shape),
        cell(of.forward.cell),
        plain(of.state_gradient.idle() ? cell.plain_step() : std::nullopt),
        state_gradient(of.state_gradient),
        gradients(of.gradients),
        tape(shape, cell.traits, 0, of.forward.tape),
        pieces(of.forward),
        ih(PackedWeights<T>::plain_if(gradients.dinput != nullptr, width(), shape.i, of.forward.weight_ih)),
        hh(SplitWeights<T>::backward(block_count(shape), shape, of.forward.weight_hh)),
        zeros(shape.s),
        states(shape.hidden_state() == 0 ? 0 : 2 * (pieces.most_steps() + 1) * shape.s),
        gates_x(2 * pieces.most_steps() * width()),
        gates_h(2 * pieces.most_steps() * shape.separate_gates()),
        operands(cell.transforms_operand() ? 2 * pieces.most_steps() * shape.p : 0),
        doperand(cell.transforms_operand() ? shape.p : 0),
        turned(few_inputs() ? shape.i * width() : 0),
        gate_stride(RowPair<T>::whole_vectors(shape.h)),
        das(shape.g * gate_stride),
        sums(shape.h),
        output(of.forward.output),
        doutput(of.doutput) {
    std::fill_n(zeros.get(), shape.s, T{0});
  }

  size_t width() const noexcept { return shape.gates(); }
  T* gates_of_piece(size_t piece) const noexcept { return gates_x.get() + piece % 2 * pieces.most_steps() * width(); }
  T* separate_of_piece(size_t piece) const noexcept { return gates_h.get() + piece % 2 * pieces.most_steps() * shape.separate_gates(); }
  T* operands_of(size_t piece) const noexcept { return operands.get() + piece % 2 * pieces.most_steps() * shape.p; }
  T* states_of(size_t piece) const noexcept { return states.get() + piece % 2 * (pieces.most_steps() + 1) * shape.s; }
  T* dstate_of(const Piece<T>& piece) const noexcept { return gradients.dstate + piece.n * shape.s; }
  bool few_inputs() const noexcept { return shape.i < kernels<T>().row_lanes(); }
  const T* doutput_at(size_t element) const noexcept { return doutput == nullptr ? nullptr : doutput + element; }
  // Row `step` of the piece in an array [N, T, size].
  size_t row(const Piece<T>& piece, size_t step) const noexcept { return piece.row + step; }
  // The state before a piece, where the states are the output.
  const T* before(const Piece<T>& piece) const noexcept {
    if (piece.begin > 0) return output + (piece.row - 1) * shape.p;
    const T* initial = pass.forward.initial_state;
    return initial == nullptr ? zeros.get() : initial + piece.n * shape.s;
  }

  // A plain cell's steps, all units on one thread, which are one block.
  void scan_alone(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t last = piece.steps - 1;
    const size_t h = shape.h;
    T* da = gates_of_piece(index);
    const auto steps = kernels<T>().elman_backward_steps;
    const T* dout = doutput_at(row(piece, last) * h);
    const T* state = output + row(piece, last) * h;
    steps(plain->nonlinearity, 1, h, h, hh.nothing(), {das.at(1), dstate_of(piece), dout, state, das.at(0), da + last * h});
    if (last > 0) {
      dout = doutput_at(row(piece, last - 1) * h);
      steps(plain->nonlinearity, last, h, h, hh.matrix(0, 0, 0), {das.at(0), nullptr, dout, state - h, das.at(1), da + (last - 1) * h});
    }
    multiply_states(hh.all(), gates_in(das.at(last)), nullptr, 0, nullptr, dstate_of(piece));
  }

  // The gradients of a step's gates as operands of a product: rows of whole vectors, `stride` apart.
  struct GateOperands {
    const T* joint;
    const T* separate;
    size_t stride;
  };
  GateOperands gates_in(const T* rows) const noexcept { return {rows, rows + (shape.g - shape.separate) * gate_stride, gate_stride}; }

  // to = start + dgates W_hh in the columns of the blocks `own`. start: may be `to`; null for zeros
  void multiply_states(const Range& own, const GateOperands& dgates, const Progress* progress, size_t steps, const T* start,
                       T* to) const noexcept {
    const size_t joint = shape.g - shape.separate, separate = shape.separate - shape.own;
    hh.for_each(own, progress, steps, [&](size_t block, size_t part, size_t turn, bool back) {
      const Range c = hh.columns(block);
      const size_t begin = hh.part(part).begin;
      const auto add = [&](const T* a, size_t first, size_t count, const T* from) {
        kernels<T>().multiply_row_by_sum(c.size(), a + begin, dgates.stride, hh.matrices(block, part, first, count, back),
                                         from == nullptr ? nullptr : from + c.begin, to + c.begin);
      };
      if (joint > 0) add(dgates.joint, 0, joint, turn == 0 ? start : to);
      if (separate > 0) add(dgates.separate, joint, separate, turn == 0 && joint == 0 ? start : to);
    });
  }

  // A plain cell's steps, the units on several threads.
  void scan_together(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    T* dstate = dstate_of(piece);
    share_steps(hh.blocks(), piece.steps + 1, [&](const Range& own, Progress& progress, size_t done) {
      if (done == piece.steps) return multiply_states(own, gates_in(das.at(done)), &progress, done, nullptr, dstate);
      const size_t step = piece.steps - 1 - done;
      const auto finish = [&](size_t block, const RowMatrix<T>& last, size_t part, const T* start) {
        const Range c = hh.columns(block);
        const size_t here = row(piece, step) * shape.h + c.begin;
        kernels<T>().elman_backward_steps(plain->nonlinearity, 1, c.size(), 0, last,
                                          {das.at(done) + part, start, doutput_at(here), output + here, das.at(done + 1) + c.begin,
                                           gates_of_piece(index) + step * shape.h + c.begin});
      };
      if (done == 0) {
        for (size_t block = own.begin; block < own.end; ++block) finish(block, hh.nothing(), 0, dstate + hh.columns(block).begin);
      } else {
        hh.for_each(own, &progress, done, [&](size_t block, size_t part, size_t turn, bool back) {
          const Range c = hh.columns(block);
          const T* start = turn == 0 ? nullptr : sums.get() + c.begin;
          const size_t from = hh.part(part).begin;
          const RowMatrix<T> weights = hh.matrix(block, part, 0, back);
          if (turn + 1 == hh.blocks()) return finish(block, weights, from, start);
          kernels<T>().multiply_row(c.size(), das.at(done) + from, weights, start, sums.get() + c.begin);
        });
      }
      for (size_t block = own.begin; block < own.end; ++block) progress.publish(block, done + 1);
    });
  }

  // The states of a piece that the output does not hold.
  void gather_states_of(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t s = shape.s, p = shape.p;
    T* to = states_of(index);
    for (size_t k = 0; k <= piece.steps; ++k, to += s) {
      if (piece.begin + k == 0) {
        const T* initial = pass.forward.initial_state;
        std::copy_n(initial == nullptr ? zeros.get() : initial + piece.n * s, s, to);
        continue;
      }
      const size_t t = piece.begin + k - 1;
      std::copy_n(output + (piece.row + k - 1) * p, p, to);
      std::copy_n(tape.hidden_state(tape.rows(t, piece.n, 1)), s - p, to + p);
    }
  }

  StepRows<T> step_of(const Piece<T>& piece, size_t k) const noexcept {
    return tape.rows(piece.begin + k, piece.n, 1, state_gradient.exponents(piece.n));
  }
  BackwardRows<T> rows_of(size_t index, const Piece<T>& piece, size_t k) const noexcept {
    const auto state_before = [&](size_t step) -> const T* {
      if (shape.hidden_state() > 0) return states_of(index) + step * shape.s;
      return step == 0 ? before(piece) : output + row(piece, step - 1) * shape.p;
    };
    const size_t separate = shape.separate_gates();
    return {.previous = state_before(k),
            .state = state_before(k + 1),
            .dstate = dstate_of(piece),
            .dgates_x = gates_of_piece(index) + k * width(),
            .dgates_h = separate == 0 ? nullptr : separate_of_piece(index) + k * separate,
            .operand = operands_of(index) + k * shape.p,
            .doperand = doperand.get()};
  }
  // The gradients of gates, those of `units` just written, as operands: where they are, or in `to`.
  GateOperands gate_operands(const BackwardRows<T>& rows, const Range& units, T* to) const noexcept {
    if (shape.h == gate_stride) return {rows.dgates_x, rows.dgates_h, shape.h};
    const size_t joint = shape.g - shape.separate;
    for (size_t gate = 0; gate < shape.g - shape.own; ++gate) {
      const T* from = gate < joint ? rows.dgates_x + gate * shape.h : rows.dgates_h + (gate - joint) * shape.h;
      std::copy_n(from + units.begin, units.size(), to + gate * gate_stride + units.begin);
    }
    return gates_in(to);
  }

  // Any cell's steps, on one thread, whatever is asked about the state's gradient.
  void scan_by_cell(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    if (shape.hidden_state() > 0) gather_states_of(index);
    // What the output before gives is added before the product, whose sum is waited for: but where that is another order of the sum than in
    // the other ways through the steps, or the state's gradient is limited.
    const bool is_one_sum = hh.blocks() == 1 && (shape.separate == shape.own || shape.g == shape.separate);
    const bool adds_before = is_one_sum && !state_gradient.limits() && !cell.traits.direct_output;
    const auto output_at = [&](size_t k, bool there) -> Rows<T> {
      return {there ? doutput_at(row(piece, k) * shape.p) : nullptr, shape.p};
    };
    for (size_t k = piece.steps; k-- > 0;) {
      const BackwardRows<T> rows = rows_of(index, piece, k);
      const Rows<T> here = output_at(k, !adds_before || k + 1 == piece.steps);
      const Rows<T> before = output_at(k - 1, adds_before && k > 0);
      step_backward(cell, step_of(piece, k), state_gradient, rows, here, before, [&](const Rows<T>& start, T* to, size_t) {
        multiply_states(hh.all(), gate_operands(rows, {0, shape.h}, das.at(0)), nullptr, 0, start.data, to);
      });
    }
    if (cell.traits.own_sums) accumulate(index);
  }

  // The same, the units on several threads, where nothing is asked about the state's gradient.
  void scan_in_blocks(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    if (shape.hidden_state() > 0) gather_states_of(index);
    share_steps(hh.blocks(), piece.steps, [&](const Range& own, Progress& progress, size_t done) {
      const size_t k = piece.steps - 1 - done;
      const BackwardRows<T> rows = rows_of(index, piece, k);
      StepRows<T> step = step_of(piece, k);
      GateOperands gates{};
      for (size_t block = own.begin; block < own.end; ++block) {
        const Range c = hh.columns(block);
        step.unit = c.begin;
        step.units = c.size();
        const T* dout = doutput_at(row(piece, k) * shape.p + c.begin);
        if (dout != nullptr) kernels<T>().add(c.size(), dout, rows.dstate + c.begin);
        cell.backward({step, rows.previous, rows.state, rows.dstate, rows.dgates_x, rows.dgates_h});
        gates = gate_operands(rows, c, das.at(done + 1));
        progress.publish(block, done + 1);
      }
      multiply_states(own, gates, &progress, done + 1, cell.traits.direct ? rows.dstate : nullptr, rows.dstate);
    });
    if (cell.traits.own_sums) accumulate(index);
  }

  // What a piece gives to the cell's own parameters.
  void accumulate(size_t index) const noexcept {
    try {
      cell.accumulate(pieces[index].steps, gates_of_piece(index), separate_of_piece(index));
    } catch (const std::bad_alloc&) {
      out_of_memory.store(true, std::memory_order_relaxed);
    }
  }

  // The products of a piece that stand outside the recurrence, in tasks that threads may do at the same time, the longest first: the
  // weights' gradients in rows, the input's in steps, and the cell's own parameters.
  static constexpr size_t kWeightRowsPerTask = 32, kStepsPerTask = 64;
  size_t weight_tasks() const noexcept { return (width() + kWeightRowsPerTask - 1) / kWeightRowsPerTask; }
  size_t input_tasks(size_t piece) const noexcept {
    return gradients.dinput == nullptr ? 0 : (pieces[piece].steps + kStepsPerTask - 1) / kStepsPerTask;
  }
  size_t product_tasks(size_t piece) const noexcept { return weight_tasks() + input_tasks(piece) + (cell.traits.own_sums ? 0 : 1); }

  void multiply_outside(size_t index, size_t task) const noexcept {
    const Span span("weights' and inputs' gradients", index);
    const Piece<T> piece = pieces[index];
    if (task < weight_tasks()) return add_weight_gradients(index, piece, task * kWeightRowsPerTask);
    task -= weight_tasks();
    if (task < input_tasks(index)) {
      const size_t first = task * kStepsPerTask;
      return kernels<T>().multiply_panels(std::min(kStepsPerTask, piece.steps - first), shape.i,
                                          ih.times(gates_of_piece(index) + first * width(), width()), PackedWeights<T>::none(), nullptr, 0,
                                          gradients.dinput + row(piece, first) * shape.i, shape.i);
    }
    accumulate(index);
  }

  // Rows [begin, begin + kWeightRowsPerTask) of both weights' gradients.
  void add_weight_gradients(size_t index, const Piece<T>& piece, size_t begin) const noexcept {
    const size_t end = std::min(begin + kWeightRowsPerTask, width());
    const size_t joint = shape.joint_gates(), separate = shape.separate_gates();
    const Rows<T> dgates_x = {gates_of_piece(index), width()};
    if (begin < joint) {
      const size_t rows = std::min(end, joint) - begin;
      add_recurrent_gradient(index, piece, rows, {dgates_x.data + begin, width()}, gradients.dweight_hh + begin * shape.p);
    }
    const size_t last = std::min(end, joint + separate);
    if (last > std::max(begin, joint)) {
      const size_t first = std::max(begin, joint);
      const Rows<T> dgates_h = {separate_of_piece(index) + first - joint, separate};
      add_recurrent_gradient(index, piece, last - first, dgates_h, gradients.dweight_hh + first * shape.p);
    }
    add_input_weight_gradient(piece, end - begin, dgates_x.data + begin, turned.get() + begin * shape.i,
                              gradients.dweight_ih + begin * shape.i);
  }

  // dweight [rows, P] += dgatesᵀ operands   dgates: [steps, rows] with leading dimension
  void add_recurrent_gradient(size_t index, const Piece<T>& piece, size_t rows, const Rows<T>& dgates, T* dweight) const noexcept {
    const size_t p = shape.p;
    if (cell.transforms_operand()) return add_outer_products(piece.steps, rows, p, dgates, {operands_of(index), p}, dweight);
    if (shape.hidden_state() > 0) return add_outer_products(piece.steps, rows, p, dgates, {states_of(index), shape.s}, dweight);
    // The state before the piece may stand elsewhere. By itself in any case, lest the order of the sum depend on where.
    add_outer_products(1, rows, p, dgates, {before(piece), p}, dweight);
    add_outer_products(piece.steps - 1, rows, p, {dgates.data + dgates.stride, dgates.stride}, {output + row(piece, 0) * p, p}, dweight);
  }

  // dweight [rows, I] += dgatesᵀ x   dgates: [steps, rows] of rows [width]. Few inputs would leave most of a vector empty: then the
  // transposed gradient is computed.
  void add_input_weight_gradient(const Piece<T>& piece, size_t rows, const T* dgates, T* transposed, T* dweight) const noexcept {
    if (!few_inputs()) return add_outer_products(piece.steps, rows, shape.i, {dgates, width()}, {piece.input, shape.i}, dweight);
    std::fill_n(transposed, shape.i * rows, T{0});
    kernels<T>().add_outer_products(piece.steps, shape.i, rows, piece.input, shape.i, dgates, width(), transposed, rows);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < shape.i; ++i) dweight[row * shape.i + i] += transposed[i * rows + row];
    }
  }

  // c [rows, n] += aᵀ b   a: [steps, rows], b: [steps, n], with leading dimension. For large matrices OpenBLAS is faster.
  void add_outer_products(size_t steps, size_t rows, size_t n, const Rows<T>& a, const Rows<T>& b, T* c) const noexcept {
    constexpr size_t kLarge = size_t{360} * 360;
    if (steps > 1 && width() * n >= kLarge) {
      gemm::transposed_multiply(rows, n, steps, a.data, a.stride, b.data, b.stride, T{1}, c, n);
    } else {
      kernels<T>().add_outer_products(steps, rows, n, a.data, a.stride, b.data, b.stride, c, n);
    }
  }

  void scan(size_t piece) const noexcept {
    const Span span("backward steps", piece);
    if (plain) return together() ? scan_together(piece) : scan_alone(piece);
    together() ? scan_in_blocks(piece) : scan_by_cell(piece);
  }

  // Whether threads share the units of each step.
  bool together() const noexcept { return hh.blocks() > 1 && (plain || (state_gradient.idle() && may_share_units(cell))); }

  // concurrent: null, or a forward pass whose pieces are computed one by one while this goes back through its own.
  void run(const SingleForward<T>* concurrent = nullptr) const {
    // One thread goes back through a piece while others multiply what the piece before left, unless a step needs them.
    const bool ahead = !together();
    size_t others = 0;  // pieces of the other pass that are done
    for (size_t piece = pieces.count(); piece-- > 0;) {
      const size_t passes = together() ? 0 : concurrent != nullptr && others < concurrent->pieces.count() ? 2 : 1;
      const size_t left = ahead ? piece + 1 : pieces.count();  // the piece whose products are to be done
      const size_t products = left < pieces.count() ? product_tasks(left) : 0;
      if (together()) scan(piece);
      parallel_longest_first(passes + products, [&](size_t task) {
        if (task >= passes) return multiply_outside(left, task - passes);
        task == 0 ? scan(piece) : concurrent->run_alone(others);
      });
      if (passes == 2) ++others;
      if (!ahead) multiply_all_outside(piece);
    }
    if (ahead) multiply_all_outside(0);
    if (concurrent != nullptr) concurrent->run(others);
    if (out_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  }

  void multiply_all_outside(size_t piece) const noexcept {
    // Multiply-adds in less time than telling another thread of them takes.
    constexpr size_t kFew = 8192;
    const auto task_of = [&](size_t task) { multiply_outside(piece, task); };
    if (pieces[piece].steps * width() * (shape.h + 2 * shape.i) > kFew) return parallel_longest_first(product_tasks(piece), task_of);
    for (size_t task = 0; task < product_tasks(piece); ++task) task_of(task);
  }
};

}  // namespace evenkeel
