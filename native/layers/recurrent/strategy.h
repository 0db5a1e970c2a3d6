#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// A way through time: the two passes of recurrent.h. All give the same results up to rounding, and each of them the same bits for every
// number of threads.
template <typename T>
struct ScanStrategy {
  const char* name;
  size_t (*chunk_steps)(const RecurrentShape& shape);
  void (*forward)(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output);
  void (*backward)(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
                   const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients);
  // The same with a forward pass beside it, for a way whose backward pass leaves threads idle; else null.
  void (*backward_beside)(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output,
                          const T* doutput, const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients,
                          const ForwardPass<T>& beside) = nullptr;
};

// "blas": a call of OpenBLAS for each step. It packs the weights anew each time; best where there is but a step or two.
template <typename T>
ScanStrategy<T> blas_strategy() noexcept;
// "panels": weights packed once; each thread takes its own sequences through time.
template <typename T>
ScanStrategy<T> panels_strategy() noexcept;
// "single": one sequence after the other; threads share the columns of a step, or the products that stand outside the recurrence.
template <typename T>
ScanStrategy<T> single_strategy() noexcept;
// "columns": weights packed once; all sequences take a step together, its columns cut for the threads.
template <typename T>
ScanStrategy<T> columns_strategy() noexcept;

// "lanes": few hidden units; a sequence in each lane of a vector, and the states in L1. For cells that have lanes: the others take panels.
template <typename T>
ScanStrategy<T> lanes_strategy() noexcept;

// The one for this shape and a cell that has lanes or not, or the one that is forced. A shape is N, I and H here: a part of a sequence
// takes the same way as the whole.
template <typename T>
ScanStrategy<T> scan_strategy(const RecurrentShape& shape, bool has_lanes) noexcept;

// For tests and measurements: every shape by the strategy of this name from now on, "auto" for a choice by shape.
// Throws std::invalid_argument, with what could be expected, for a name that no strategy has.
void force_scan_strategy(std::string_view name);

}  // namespace evenkeel
