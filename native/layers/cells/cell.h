#pragma once
#include <cstddef>

namespace evenkeel {

// One time step of a block of sequences, as the scan hands it to a cell; a row is a sequence. Arrays over all of T are strided: from one
// row to the next are T · width elements. Arrays of one step are packed.
template <typename T>
struct ForwardStep {
  size_t rows;
  size_t sequence_length;  // T
  size_t position;         // first row · T + t: where this step's first row stands in an array [N, T, width]
  const T* projected;      // x_t W_ihᵀ [rows, gates · H], strided
  const T* recurrent;      // operand_{t−1} W_hhᵀ [rows, gates · H], packed; null where the operand is zero
  T* state;                // h_t [rows, H], strided: written
};

template <typename T>
struct BackwardStep {
  size_t rows;
  size_t sequence_length;
  size_t position;
  const T* state;   // h_t [rows, H], strided
  const T* dstate;  // ∂L/∂h_t from the output at t alone [rows, H], strided
  const T* dcarry;  // ∂L/∂operand_t from step t+1 [rows, H], packed; null at the last step
  T* dprojected;    // ∂L/∂(x_t W_ihᵀ) [rows, gates · H], strided: written
  T* drecurrent;  // ∂L/∂(operand_{t−1} W_hhᵀ) [rows, gates · H], strided: written; the same array as dprojected where both are equal
};

// What the scan over time asks of a recurrent cell: how wide its gates are, and the pointwise part of one step, forward and backward side
// by side. The scan owns time, the blocks of sequences and the recurrent product, and never asks which cell it drives.
//
// The operand is what the recurrent product takes from the previous step: h_{t−1} itself, unless the cell normalises what is fed back; such
// a cell fills an array of operands of its own in forward, and turns ∂L/∂operand_t into its part of ∂L/∂h_t in backward. Whatever else a
// cell keeps from forward for backward (gates, statistics, a second state) it addresses by `position` in arrays of its own.
template <typename T>
class Cell {
 public:
  Cell() = default;
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;
  virtual ~Cell() = default;

  // Pre-activation width in units of H: 1 for an Elman cell, 3 for a GRU, 4 for an LSTM.
  virtual size_t gates() const noexcept = 0;
  virtual void forward(const ForwardStep<T>& step) const noexcept = 0;
  virtual void backward(const BackwardStep<T>& step) const noexcept = 0;
};

}  // namespace evenkeel
