#pragma once
#include <optional>

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

// A layer's weights while it makes passes over parts of the time one after the other: the first pass that needs them packs them for all.
// Their products have the same bits. To pack them takes about as long as a step of 32 sequences, and of lengths that all differ each part
// is a few steps.
template <typename T>
struct SharedWeights {
  std::optional<ForwardWeights<T>> forward;
  std::optional<BackwardWeights<T>> backward;
};

// A pass's weights: those that are kept or shared, else packed into `own`.   Throws std::bad_alloc.
template <typename T>
const ForwardWeights<T>& forward_weights(const ForwardPass<T>& pass, std::optional<ForwardWeights<T>>& own) {
  if (pass.kept != nullptr) return pass.kept->panels;
  std::optional<ForwardWeights<T>>& place = pass.shared == nullptr ? own : pass.shared->forward;
  return place ? *place : place.emplace(pass);
}
template <typename T>
const BackwardWeights<T>& backward_weights(const BackwardPass<T>& pass, std::optional<BackwardWeights<T>>& own) {
  std::optional<BackwardWeights<T>>& place = pass.forward.shared == nullptr ? own : pass.forward.shared->backward;
  return place ? *place : place.emplace(pass);
}

}  // namespace evenkeel
