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
  void (*forward)(const ForwardPass<T>& pass);
  void (*backward)(const BackwardPass<T>& pass);
  // Whether `backward` makes the concurrent forward pass too, since it leaves threads idle.
  bool takes_concurrent = false;
  bool in_lanes = false;
};

// "blas": a call of OpenBLAS for each step. It packs the weights anew each time; best where there is but a step or two.
template <typename T>
ScanStrategy<T> blas_strategy() noexcept;
// "panels": weights packed once; each thread takes its own sequences through time.
template <typename T>
ScanStrategy<T> panels_strategy() noexcept;
// "single": one sequence after the other; threads share the units of a step, or the products that stand outside the recurrence.
template <typename T>
ScanStrategy<T> single_strategy() noexcept;
// "columns": weights packed once; all sequences take a step together, its columns cut for the threads.
template <typename T>
ScanStrategy<T> columns_strategy() noexcept;
// "lanes": few hidden units; a sequence in each lane of a vector, and the states in L1. For cells that are not across units: the others
// take panels.
template <typename T>
ScanStrategy<T> lanes_strategy() noexcept;

// The one for this shape and a cell with these traits, or the one that is forced. T does not matter: a part of a sequence takes the same
// way as the whole.
template <typename T>
ScanStrategy<T> scan_strategy(const RecurrentShape& shape, const CellTraits& traits) noexcept;

// For tests and measurements: every shape by the strategy of this name from now on, "auto" for a choice by shape.
// Throws std::invalid_argument, with what could be expected, for a name that no strategy has.
void force_scan_strategy(std::string_view name);

}  // namespace evenkeel
