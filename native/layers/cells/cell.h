#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/kernels.h"

namespace evenkeel {

// The sequences [first, first + rows) at one time step. Arrays of a step hold a row for each of them, one after the other.
struct StepRows {
  size_t first;
  size_t rows;
  size_t position;  // where `first` stands in what the cell keeps from forward for backward, rows of [steps kept, N, ·]
  // In a backward pass [rows]: every gradient of a row is in truth 2^exponent times what stands in the arrays. Null for none.
  const std::int32_t* exponents = nullptr;
  // Whether the shape alone says which sequences these are, so that a cell may sum over them.
  bool cut_by_shape = false;

  std::int32_t exponent(size_t row) const noexcept { return exponents == nullptr ? 0 : exponents[row]; }
};

template <typename T>
struct ForwardStep : StepRows {
  T* projected;  // x_t W_ihᵀ [rows, gates · H], plus operand_t W_hhᵀ unless the cell has the two products apart; the cell may overwrite it
  T* recurrent;         // operand_t W_hhᵀ [rows, gates · H] where it has them apart, else null; the cell may overwrite it
  const T* previous;    // h_{t−1} [rows, H]
  T* state;             // h_t [rows, H]: written
  T* output = nullptr;  // where h_t is written once more [rows, H], with leading dimension; null for nowhere
  size_t ld_output = 0;
};

template <typename T>
struct BackwardStep : StepRows {
  const T* previous;  // h_{t−1} [rows, H]
  const T* state;     // h_t [rows, H]
  T* dstate;          // ∂L/∂h_t [rows, H], all of it; the cell may overwrite it
  T* dprojected;      // ∂L/∂(x_t W_ihᵀ) [rows, gates · H]: written
  T* drecurrent;      // ∂L/∂(operand_t W_hhᵀ) [rows, gates · H]: written; is dprojected unless the cell has the two products apart
};

// A step that is state = φ(x_t W_ihᵀ + h_{t−1} W_hhᵀ + bias) and nothing else: a kernel can do it while it has the sums in its registers.
template <typename T>
struct PlainStep {
  Nonlinearity nonlinearity;
  const T* bias;  // [H]
};

// Forward mode, for one sequence: what becomes of tangents, directions in which h_{t−1} might move.
template <typename T>
struct TangentStep : StepRows {
  size_t count;
  const T* state;  // h_t [H]
  T* recurrent;    // tangents of operand_t W_hhᵀ [count, gates · H]; the cell may overwrite them
  T* tangents;     // of h_{t−1} [count, H]; of h_t when the cell is done
};

// What the scan over time asks of a recurrent cell: how wide its gates are, and the pointwise part of one step, forward and backward side
// by side. The scan owns time, the sequences and the products with the weights, and never asks which cell it drives.
//
// Steps of different sequences run on different threads at the same time, in any order; the steps of one sequence follow each other. What a
// cell sums over all of them (its biases, the weights of its normalisations) it sums per sequence first, or over rows that are cut by shape
// or come by accumulate(), so that no sum depends on the number of threads. Such sums are of true gradients: see StepRows.exponents, which
// matter to nothing else, since a backward step is linear.
template <typename T>
class Cell {
 public:
  Cell() = default;
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;
  virtual ~Cell() = default;

  // Pre-activation width in units of H: 1 for an Elman cell, 3 for a GRU, 4 for an LSTM.
  virtual size_t gates() const noexcept = 0;
  // Whether the step needs x_t W_ihᵀ and operand_t W_hhᵀ apart, as it does where one of them alone is normalised or gated.
  virtual bool products_apart() const noexcept { return false; }

  // The operand of the recurrent product is what a step takes from the one before: h_{t−1} itself, unless the cell says otherwise here.
  virtual bool transforms_operand() const noexcept { return false; }
  // operand_t from h_{t−1}, both [rows, H]
  virtual void operand(const StepRows& /*step*/, const T* /*previous*/, T* /*operand*/) const noexcept {}
  // dprevious += ∂L/∂h_{t−1} through operand_t; doperand: [rows, H], may be overwritten
  virtual void operand_backward(const StepRows& /*step*/, const T* /*previous*/, T* /*doperand*/, T* /*dprevious*/) const noexcept {}

  // What forward() and backward() do, for a cell whose step is plain: the scan may do it itself.
  virtual std::optional<PlainStep<T>> plain_step() const noexcept { return {}; }

  // Where a cell that keeps x_t W_ihᵀ or operand_t W_hhᵀ for backward keeps those of a step: from there forward() need not copy them. Null
  // for a cell or a pass that does not. As of ForwardStep: the first is their sum unless the cell has them apart.
  virtual T* projected_place(const StepRows& /*step*/) const noexcept { return nullptr; }
  virtual T* recurrent_place(const StepRows& /*step*/) const noexcept { return nullptr; }

  virtual void forward(const ForwardStep<T>& step) const noexcept = 0;
  virtual void backward(const BackwardStep<T>& step) const noexcept = 0;

  // tangents: of h_{t−1} [count, H]; of operand_t when this returns   previous: h_{t−1} [H]
  virtual void operand_tangents(const StepRows& /*step*/, const T* /*previous*/, size_t /*count*/, T* /*tangents*/) const noexcept {}
  virtual void tangents(const TangentStep<T>& step) const noexcept = 0;

  // Adds to the gradients of the cell's own parameters what the last steps gave, after every sequence has gone through them.
  // dprojected, drecurrent: [rows, gates · H], those steps'   Throws std::bad_alloc.
  virtual void accumulate(size_t rows, const T* dprojected, const T* drecurrent) const = 0;
  // The same from the sums over those rows, each [gates · H].
  virtual void accumulate_sums(const T* dprojected, const T* drecurrent) const noexcept = 0;
  // Whether it reads them.
  virtual bool reads_sums() const noexcept { return true; }

  // Whether the cell also has its step in lanes: then each array of a step is [size, lanes] in place of [rows, size], with one row in each
  // lane; what the lanes beyond the rows hold does not matter, but for zeros staying zeros in a backward pass.
  virtual bool has_lanes() const noexcept { return false; }
  virtual void forward_in_lanes(const ForwardStep<T>& /*step*/) const noexcept {}
  virtual void backward_in_lanes(const BackwardStep<T>& /*step*/) const noexcept {}
};

}  // namespace evenkeel
