#pragma once
#include <cstddef>

#include "layers/cells/cell.h"
#include "layers/state_gradient.h"

namespace evenkeel {

struct RecurrentShape : Widths {
  size_t n, t;          // sequences, time steps; each, like the widths, from 1 to 2^31 − 1
  size_t t_stride = 0;  // steps from one sequence to the next in arrays [N, T, ·], of which these may be a part of the time; 0 for T

  size_t steps_apart() const noexcept { return t_stride == 0 ? t : t_stride; }
};

template <typename T>
struct KeptWeights;
template <typename T>
struct SharedWeights;

// state_t = cell(x_t W_ihᵀ, operand_t W_hhᵀ) for t = 1 … T.
template <typename T>
struct ForwardPass {
  RecurrentShape shape;
  const Cell<T>& cell;
  const T* input;          // x [N, T, I]
  const T* initial_state;  // state_0 [N, S]; null for zeros
  const T* weight_ih;      // [G·H, I]
  const T* weight_hh;      // [G·H, P]
  T* output;               // the first P columns of all states [N, T, P]: written
  T* final_state;          // state_T [N, S]: written; null where it is not wanted
  T* tape;                 // tape_length elements, written: what backward needs beside; null for a pass without a backward pass
  const KeptWeights<T>* kept = nullptr;  // the weights as they were packed before, with the same bits; null for none
  SharedWeights<T>* shared = nullptr;    // those that the passes of a call share; null where each packs its own
};

// The gradients that a backward pass writes (dinput), carries back (dstate), and adds to (the rest; the cell adds to its own parameters').
template <typename T>
struct RecurrentGradients {
  T* dinput;      // [N, T, I]; null where it is not wanted
  T* dstate;      // ∂L/∂state_T from beyond the last step [N, S]; ∂L/∂state_0 at the end
  T* dweight_ih;  // [G·H, I]
  T* dweight_hh;  // [G·H, P]
};

// Backward through time.
template <typename T>
struct BackwardPass {
  const ForwardPass<T>& forward;  // the pass that this one goes back through, with what it has written
  const T* doutput;               // ∂L/∂output [N, T, P]; null for zeros
  const StateGradient<T>& state_gradient;
  RecurrentGradients<T> gradients;
  const ForwardPass<T>* concurrent;  // a forward pass over another part of the time, for threads that this one leaves idle; null for none
};

// Both throw std::bad_alloc.
template <typename T>
void recurrent_forward(const ForwardPass<T>& pass);
template <typename T>
void recurrent_backward(const BackwardPass<T>& pass);

// Time is cut into chunks of so many steps, whatever T: a part of a sequence that starts where a chunk does gives the same bits as the
// whole. `shape` and `traits` are the cell's; T does not matter.
size_t recurrent_chunk_steps(const RecurrentShape& shape, const CellTraits& traits) noexcept;
// Elements of the tape of all T steps; 0 where nothing is kept. Any memory of that length will do.
template <typename T>
size_t tape_length(const RecurrentShape& shape, const CellTraits& traits) noexcept;
// Elements from one step's tape to the next one's: a part of the time has its part of the tape.
template <typename T>
size_t tape_stride(const RecurrentShape& shape, const CellTraits& traits) noexcept;
// state_{step + 1} [N, S] out of what a pass has written.
template <typename T>
void read_state(const RecurrentShape& shape, const CellTraits& traits, const T* output, T* tape, size_t step, T* state) noexcept;

}  // namespace evenkeel
