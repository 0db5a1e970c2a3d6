#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/kernels.h"

namespace evenkeel {

// The widths of a recurrent layer's rows.
struct Widths {
  size_t i;             // inputs
  size_t h;             // hidden units
  size_t p;             // what is put out at each step, and multiplies W_hh
  size_t s;             // the state that a step hands to the next; its first P columns are what is put out
  size_t g;             // gates: W_ih is [G·H, I], W_hh [G·H, P], gate after gate
  size_t separate = 0;  // the last so many gates need x_t W_ihᵀ and operand_t W_hhᵀ separately
  size_t own = 0;       // of these, the last so many: their rows of W_hh are the cell's own matter, forward and backward

  size_t gates() const noexcept { return g * h; }                          // columns of a product
  size_t joint_gates() const noexcept { return (g - separate) * h; }       // of which are sums of both
  size_t input_gates() const noexcept { return separate * h; }             // x_t W_ihᵀ alone
  size_t separate_gates() const noexcept { return (separate - own) * h; }  // operand_t W_hhᵀ alone
  size_t hidden_state() const noexcept { return s - p; }                   // columns of the state that are not put out
};

// What the scan must know of a cell beside its widths.
struct CellTraits {
  size_t tape = 0;              // numbers that forward keeps of each sequence's step for backward, beside the state
  bool direct = false;          // a part of ∂L/∂state_t reaches state_{t−1} past the product; it must where S > P
  bool direct_output = direct;  // such a part is in its first P columns too; else a direct cell leaves zeros there
  bool across_units = false;    // a unit's step needs other units, as a norm does. Else the cell takes any units' step, in lanes too
  bool own_sums = false;        // a step adds to sums that accumulate() takes: the two may not run at the same time
};

// What forward keeps of one step for backward: arrays of all sequences, one after the other. In lanes, of one group of sequences.
template <typename T>
struct TapeStep {
  T* data = nullptr;  // null in a forward pass that keeps nothing
  size_t stride = 0;  // elements from one step to the next
  size_t rows = 0;    // of each array
  size_t first = 0;   // where the step's rows begin
};

// The sequences [first, first + rows) at one time step. Arrays of a step are [rows, width], packed; in lanes [width, lanes], with one row
// in each lane: what the lanes beyond the rows hold does not matter, but for zeros staying zeros in a backward pass.
template <typename T>
struct StepRows {
  size_t first;
  size_t rows;
  size_t step;      // t, from 0
  size_t unit = 0;  // the units [unit, unit + units) are to be computed, with all their gates: all H, unless the cell is not across_units
  size_t units = 0;
  size_t lanes = 0;  // 0 for rows
  TapeStep<T> tape = {};
  // In a backward pass [rows], block floating point: the true gradient of row r is 2^exponents[r] times the stored one. Null for none.
  const std::int32_t* exponents = nullptr;
  // Whether the shape alone says which sequences these are, so that a cell may sum over them.
  bool cut_by_shape = false;

  std::int32_t exponent(size_t row) const noexcept { return exponents == nullptr ? 0 : exponents[row]; }
  // An array of the tape, `width` numbers of each sequence, before which there are `offset` numbers of each; null where nothing is kept.
  T* kept(size_t offset, size_t width) const noexcept {
    return tape.data == nullptr ? nullptr : tape.data + offset * tape.rows + tape.first * width;
  }
};

template <typename T>
struct ForwardStep : StepRows<T> {
  T* gates_x;  // x_t W_ihᵀ + operand_t W_hhᵀ, of separate gates x_t W_ihᵀ alone [rows, G·H]; the cell may overwrite it
  T* gates_h;  // operand_t W_hhᵀ of separate gates but its own [rows, separate_gates()], null where there are none; the cell may overwrite
               // it
  const T* previous;    // state_{t−1} [rows, S]
  T* state;             // state_t [rows, S]: written
  T* output = nullptr;  // where its first P columns are written once more, with leading dimension; null for nowhere
  size_t ld_output = 0;
};

template <typename T>
struct BackwardStep : StepRows<T> {
  const T* previous;  // state_{t−1} [rows, S]
  const T* state;     // state_t [rows, S]
  T* dstate;  // ∂L/∂state_t [rows, S], all of it; of a direct cell at the end what reaches state_{t−1} past the product, else scratch
  T* dgates_x;  // ∂L/∂(x_t W_ihᵀ), of joint gates ∂L/∂(operand_t W_hhᵀ) too [rows, G·H]: written
  T* dgates_h;  // ∂L/∂(operand_t W_hhᵀ) of separate gates but its own [rows, separate_gates()]: written; null where there are none
};

// A step that is state = φ(x_t W_ihᵀ + h_{t−1} W_hhᵀ + bias) and nothing else: a kernel can do it while it has the sums in its registers.
template <typename T>
struct PlainStep {
  Nonlinearity nonlinearity;
  const T* bias;  // [H]
};

// Forward mode, for one sequence: what becomes of tangents, directions in which state_{t−1} might move.
template <typename T>
struct TangentStep : StepRows<T> {
  size_t count;
  const T* previous;  // state_{t−1} [S]
  const T* state;     // state_t [S]
  T* gates_h;         // tangents of operand_t W_hhᵀ, all gates [count, G·H]; the cell may overwrite them
  T* tangents;        // of state_{t−1} [count, S]; of state_t when the cell is done
};

template <typename T>
class Tape;

// What the scan over time asks of a recurrent cell: its widths and traits, and the pointwise part of one step, forward and backward side by
// side. The scan owns time, the sequences and the products with the weights, and never asks which cell it drives.
//
// Steps of different sequences run on different threads at the same time, in any order; the steps of one sequence follow each other. What a
// cell sums over all of them (its biases, the weights of its normalisations) it sums per sequence first, or over rows that are cut by shape
// or come by accumulate(), so that no sum depends on the number of threads. Such sums are of true gradients: see StepRows.exponents, which
// matter to nothing else, since a backward step is linear.
template <typename T>
class Cell {
 public:
  const Widths widths;
  const CellTraits traits;

  Cell(const Widths& w, const CellTraits& t) noexcept : widths(w), traits(t) {}
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;
  virtual ~Cell() = default;

  // The operand of the recurrent product is what a step takes from the one before: the first P columns of its state, unless the cell says
  // otherwise here.
  virtual bool transforms_operand() const noexcept { return false; }
  // operand_t [rows, P] from state_{t−1} [rows, S]
  virtual void operand(const StepRows<T>& /*step*/, const T* /*previous*/, T* /*operand*/) const noexcept {}
  // dprevious [rows, S] += ∂L/∂state_{t−1} through operand_t; doperand: [rows, P], may be overwritten
  virtual void operand_backward(const StepRows<T>& /*step*/, const T* /*previous*/, T* /*doperand*/, T* /*dprevious*/) const noexcept {}

  // What forward() and backward() do, for a cell whose step is plain: the scan may do it itself.
  virtual std::optional<PlainStep<T>> plain_step() const noexcept { return {}; }

  // Destinations of the products in the tape, for a cell that keeps them there, or what it makes of them in place; null if not saved. As of
  // ForwardStep, whose gates may stand elsewhere all the same.
  virtual T* saved_gates_x(const StepRows<T>& /*step*/) const noexcept { return nullptr; }
  virtual T* saved_gates_h(const StepRows<T>& /*step*/) const noexcept { return nullptr; }

  virtual void forward(const ForwardStep<T>& step) const noexcept = 0;
  virtual void backward(const BackwardStep<T>& step) const noexcept = 0;

  // tangents: of the first P columns of state_{t−1} [count, P]; of operand_t when this returns   previous: state_{t−1} [S]
  virtual void operand_tangents(const StepRows<T>& /*step*/, const T* /*previous*/, size_t /*count*/, T* /*tangents*/) const noexcept {}
  virtual void tangents(const TangentStep<T>& step) const noexcept = 0;

  // Adds to the gradients of the cell's own parameters what the last steps gave, after every sequence has gone through them.
  // dgates_x: [rows, G·H], dgates_h: [rows, separate_gates()], those steps'   Throws std::bad_alloc.
  void accumulate(size_t rows, const T* dgates_x, const T* dgates_h) const;
  // The same from the sums over those rows, [G·H] and [separate_gates()].
  virtual void accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept = 0;
  // Whether it reads them.
  virtual bool reads_sums() const noexcept { return true; }
  // Adds to gradients what products of the cell's own give, after all steps of a backward pass.   Throws std::bad_alloc.
  virtual void after_backward(const Tape<T>& /*tape*/, size_t /*steps*/, size_t /*chunk_steps*/) const {}
};

}  // namespace evenkeel
