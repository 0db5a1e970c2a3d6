#pragma once
#include <algorithm>
#include <cstddef>

#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/recurrent.h"
#include "layers/recurrent/tape.h"

// One step of some sequences through a cell, forward and backward: what all strategies have in common. A strategy says where the step's
// rows stand, and supplies the products.

namespace evenkeel {

// What multiplies W_hh: rows [rows, P] with leading dimension.
template <typename T>
Rows<T> operand_of(const Cell<T>& cell, const StepRows<T>& step, const T* previous, T* buffer) noexcept {
  if (!cell.transforms_operand()) return {previous, cell.widths.s};
  cell.operand(step, previous, buffer);
  return {buffer, cell.widths.p};
}

template <typename T>
struct ForwardRows {
  const T* previous;    // state_{t−1} [rows, S]
  T* state;             // state_t [rows, S]
  T* operand;           // [rows, P], for a cell that transforms it
  T* gates_x;           // where gates go that the cell does not save [rows, G·H]
  T* gates_h;           // [rows, separate_gates()]
  bool projected;       // whether x_t W_ihᵀ is in gates_x already
  T* output = nullptr;  // as of ForwardStep
  size_t ld_output = 0;
};

template <typename T>
struct Gates {
  T* x;  // as of ForwardStep
  T* h;
};

template <typename T>
Gates<T> gates_of(const Cell<T>& cell, const StepRows<T>& step, const ForwardRows<T>& rows) noexcept {
  const bool saves = cell.traits.tape > 0;
  Gates<T> gates{rows.projected || !saves ? rows.gates_x : cell.saved_gates_x(step), nullptr};
  if (gates.x == nullptr) gates.x = rows.gates_x;
  if (cell.widths.separate_gates() == 0) return gates;
  gates.h = saves ? cell.saved_gates_h(step) : nullptr;
  if (gates.h == nullptr) gates.h = rows.gates_h;
  return gates;
}

// What follows the products.
template <typename T>
void finish_forward(const Cell<T>& cell, const Tape<T>& tape, const StepRows<T>& step, const ForwardRows<T>& rows,
                    const Gates<T>& gates) noexcept {
  cell.forward({step, gates.x, gates.h, rows.previous, rows.state, rows.output, rows.ld_output});
  const Widths& w = cell.widths;
  T* hidden = tape.hidden_state(step);
  if (hidden == nullptr) return;
  if (step.lanes > 0) {
    std::copy_n(rows.state + w.p * step.lanes, w.hidden_state() * step.lanes, hidden);
  } else if (step.units < w.h) {  // each has one of these columns
    kernels<T>().copy_rows(step.rows, step.units, rows.state + w.p + step.unit, w.s, hidden + step.unit, w.hidden_state());
  } else {
    kernels<T>().copy_rows(step.rows, w.hidden_state(), rows.state + w.p, w.s, hidden, w.hidden_state());
  }
}

// products(operand, gates): gates.x += operand W_hhᵀ of joint gates, where it holds x_t W_ihᵀ already, else with that; gates.h
template <typename T, typename Products>
void step_forward(const Cell<T>& cell, const Tape<T>& tape, const StepRows<T>& step, const ForwardRows<T>& rows,
                  Products&& products) noexcept {
  const Rows<T> operand = operand_of(cell, step, rows.previous, rows.operand);
  const Gates<T> gates = gates_of(cell, step, rows);
  products(operand, gates);
  finish_forward(cell, tape, step, rows, gates);
}

template <typename T>
struct BackwardRows {
  const T* previous;  // state_{t−1} [rows, S]
  const T* state;     // state_t [rows, S]
  T* dstate;  // ∂L/∂state_t [rows, S] without what comes from the output at t, or, within a block, with it; ∂L/∂state_{t−1} likewise
              // when the step is done
  T* dgates_x;  // [rows, G·H]: written
  T* dgates_h;  // [rows, separate_gates()]: written; null where there are none
  T* operand;   // [rows, P], of a cell that transforms it: written
  T* doperand;  // [rows, P], for such a cell
};

// The product with W_hh of a step backward: to [rows, P] = start + dgates W_hh, all with leading dimension.
template <typename T>
struct StateProduct {
  Rows<T> start;  // may be `to`
  T* to;
  size_t ld;
  Rows<T> later;  // what is to be added to dstate when the product is done
};

// What comes before the product. output_here: what the output at t gives, where dstate lacks it   output_before: what the output at t − 1
// gives, to which the product is added
template <typename T>
StateProduct<T> begin_backward(const Cell<T>& cell, const StepRows<T>& step, const StateGradient<T>& state_gradient,
                               const BackwardRows<T>& rows, const Rows<T>& output_here, const Rows<T>& output_before) noexcept {
  const Widths& w = cell.widths;
  const Carried<T> dstate = {rows.dstate, w.s};
  if (output_here.data != nullptr) add_rows(step.rows, w.p, state_gradient.output_share(step, output_here, {dstate}), rows.dstate, w.s);
  state_gradient.complete(step, rows.dstate);
  cell.backward({step, rows.previous, rows.state, rows.dstate, rows.dgates_x, rows.dgates_h});
  const Carried<T> direct = {cell.traits.direct ? rows.dstate : nullptr, w.s};
  const Rows<T> share =
      state_gradient.output_share(step, output_before, {{rows.dgates_x, w.gates()}, {rows.dgates_h, w.separate_gates()}, direct});
  if (cell.transforms_operand()) {
    cell.operand(step, rows.previous, rows.operand);
    return {{nullptr, 0}, rows.doperand, w.p, share};
  }
  if (!cell.traits.direct) return {share, rows.dstate, w.s, {nullptr, 0}};
  add_rows(step.rows, w.p, share, rows.dstate, w.s);
  return {{rows.dstate, w.s}, rows.dstate, w.s, {nullptr, 0}};
}

template <typename T>
void finish_backward(const Cell<T>& cell, const StepRows<T>& step, const StateGradient<T>& state_gradient, const BackwardRows<T>& rows,
                     const Rows<T>& later) noexcept {
  const Widths& w = cell.widths;
  if (cell.transforms_operand()) {
    if (!cell.traits.direct) std::fill_n(rows.dstate, step.rows * w.s, T{0});
    cell.operand_backward(step, rows.previous, rows.doperand, rows.dstate);
    add_rows(step.rows, w.p, later, rows.dstate, w.s);
  }
  state_gradient.unscale(step, {rows.dgates_x, w.gates()});
  state_gradient.unscale(step, {rows.dgates_h, w.separate_gates()});
}

// product(start, to, ld): to = start + dgates W_hh
template <typename T, typename Product>
void step_backward(const Cell<T>& cell, const StepRows<T>& step, const StateGradient<T>& state_gradient, const BackwardRows<T>& rows,
                   const Rows<T>& output_here, const Rows<T>& output_before, Product&& product) noexcept {
  const StateProduct<T> target = begin_backward(cell, step, state_gradient, rows, output_here, output_before);
  product(target.start, target.to, target.ld);
  finish_backward(cell, step, state_gradient, rows, target.later);
}

}  // namespace evenkeel
