#pragma once
#include <cstddef>

#include "layers/cells/cell.h"

namespace evenkeel {

struct RecurrentShape {
  size_t n, t, i, h;  // sequences, time steps, inputs, hidden units; each from 1 to 2^31 − 1, and t · gates · h too
};

// What both passes of a recurrent layer read.
template <typename T>
struct RecurrentInputs {
  const T* input;          // x [N, T, I]
  const T* initial_state;  // operand_0, which is h_0 for a cell that feeds back its state [N, H]; null for zeros
  const T* weight_ih;      // [gates · H, I]
  const T* weight_hh;      // [gates · H, H]
};

// projected = x W_ihᵀ in one product over all N · T rows, then the scan over time.
// projected: [N, T, gates · H], scratch or cache, and may be `state` for a cell that allows it   operands: [N, T, H], `state` by default
// state: [N, T, H], written                                                                     Throws std::bad_alloc.
template <typename T>
void recurrent_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* projected, const T* operands,
                       T* state);

// The gradients that a backward pass writes (dinput, dinitial_state) and adds to (the rest).
template <typename T>
struct RecurrentGradients {
  T* dinput;          // [N, T, I]
  T* dinitial_state;  // ∂L/∂operand_0 [N, H]
  T* dweight_ih;      // [gates · H, I]
  T* dweight_hh;      // [gates · H, H]
  T* dbias_ih;        // [gates · H]
  T* dbias_hh;        // [gates · H]
};

// The scan backward through time, then one product over all N · T rows for each of dW_ih, dW_hh and dx.
// operands, state: as forward left them   dstate: ∂L/∂output [N, T, H]   dprojected, drecurrent: [N, T, gates · H], scratch that is
// overwritten; one array where the cell says that both are equal                                 Throws std::bad_alloc.
template <typename T>
void recurrent_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* operands,
                        const T* state, const T* dstate, T* dprojected, T* drecurrent, const RecurrentGradients<T>& gradients);

}  // namespace evenkeel
