#pragma once
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/single_pieces.h"
#include "layers/recurrent/split_weights.h"

namespace evenkeel {

// A layer's weights, packed once for any number of forward passes: to pack them takes as long as a step of one sequence. What they were
// packed from must not change while they are in use.
template <typename T>
struct KeptWeights {
  ForwardWeights<T> panels;
  SplitWeights<T> rows;  // W_hh for a single row

  // Throws std::bad_alloc.
  KeptWeights(const Widths& w, const T* weight_ih, const T* weight_hh)
      : panels(w, weight_ih, weight_hh), rows(SplitWeights<T>::forward(block_count(w), w, weight_hh)) {}
};

}  // namespace evenkeel
