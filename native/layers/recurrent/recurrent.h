#pragma once
#include <cstddef>

#include "layers/cells/cell.h"
#include "layers/state_gradient.h"

namespace evenkeel {

struct RecurrentShape {
  size_t n, t, i, h;  // sequences, time steps, inputs, hidden units; each from 1 to 2^31 − 1
};

// What both passes of a recurrent layer read.
template <typename T>
struct RecurrentInputs {
  const T* input;          // x [N, T, I]
  const T* initial_state;  // h_0 [N, H]; null for zeros
  const T* weight_ih;      // [gates · H, I]
  const T* weight_hh;      // [gates · H, H]
};

// Time is cut into chunks of so many steps, whatever T: a part of a sequence that starts where a chunk does gives the same bits as the
// whole.
size_t recurrent_chunk_steps(const RecurrentShape& shape, bool has_lanes) noexcept;

// h_t = cell(x_t W_ihᵀ, operand_t W_hhᵀ) for t = 1 … T.
// output: all h_t [N, T, H], written   Throws std::bad_alloc.
template <typename T>
void recurrent_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output);

// A forward pass over another part of the time, all that recurrent_forward takes.
template <typename T>
struct ForwardPass {
  RecurrentShape shape;
  const Cell<T>* cell;
  RecurrentInputs<T> inputs;
  T* output;
};

// The gradients that a backward pass writes (dinput), carries back (dstate), and adds to (the rest; the cell adds to its own parameters').
template <typename T>
struct RecurrentGradients {
  T* dinput;      // [N, T, I]; null where it is not wanted
  T* dstate;      // ∂L/∂h_T from beyond the last step [N, H]; ∂L/∂h_0 at the end
  T* dweight_ih;  // [gates · H, I]
  T* dweight_hh;  // [gates · H, H]
};

// Backward through time. output: as forward left it   doutput: ∂L/∂output [N, T, H]; null for zeros
// beside: null, or a forward pass to be made as well, at which threads work that this one leaves idle   Throws std::bad_alloc.
template <typename T>
void recurrent_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output,
                        const T* doutput, const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients,
                        const ForwardPass<T>* beside = nullptr);

}  // namespace evenkeel
