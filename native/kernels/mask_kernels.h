#pragma once
#include <cstddef>
#include <cstdint>

#include "core/philox.h"
#include "kernels/gate_kernels.h"

namespace evenkeel {

// Which random words a mask is made of. That of unit u in row r is word u mod 4 of Philox at the counter {u / 4, r, step, stream}: a
// function of these numbers alone, so a mask is drawn again wherever it is needed, and never kept.
struct MaskStream {
  philox::Key key;       // of a forward call
  std::uint32_t stream;  // of one use of masks within a layer
  std::uint32_t step;    // of time; 0 where all steps share a mask
};

// How often a word hits: in `threshold` of 2^32 cases. p in [0, 1] is rounded to the nearest such number.
constexpr std::uint64_t mask_threshold(double p) noexcept {
  const double cases = p * 0x1p32;
  const auto whole = static_cast<std::uint64_t>(cases);
  return whole + (cases - static_cast<double>(whole) >= 0.5 ? 1 : 0);
}

// The units [first, first + units) of some rows, in lanes of one group of rows, which an array [units, lanes] holds.
struct MaskedUnits {
  const std::int32_t* rows;  // whose masks they have [count]
  size_t count;
  size_t first, units;
  size_t lanes;  // 0 for rows
};

// Zoneout: what a unit's mask hits stays what it was. Arrays begin with the first unit.
template <typename T>
struct HoldForward {
  StepArray<const T> before, candidate;
  StepArray<T> state;   // written
  StepArray<T> output;  // the same once more; none for nowhere
};
template <typename T>
struct HoldBackward {
  StepArray<T> dstate;  // becomes that by the candidate
  StepArray<T> past;    // what goes to the state before: written
};

template <typename T>
struct MaskKernels {  // masks.cc
  // words: those of the counters {first_block …, row, step, stream} [blocks, 4]
  void (*random_words)(const MaskStream& stream, std::uint32_t row, std::uint32_t first_block, size_t blocks, std::uint32_t* words);
  // output = input ⊙ mask, mask = hit where the unit's word is below the threshold, else miss. The rows from first_row and the units from
  // first_unit, a multiple of 4; input, output: [rows, units] with leading dimension, may be one array; input null for the mask itself
  void (*apply_mask)(const MaskStream& stream, std::uint64_t threshold, T hit, T miss, size_t first_row, size_t rows, size_t first_unit,
                     size_t units, const T* input, size_t ld_input, T* output, size_t ld_output);
  void (*hold_forward)(const MaskStream& stream, std::uint64_t threshold, const MaskedUnits& of, const HoldForward<T>& arrays);
  void (*hold_backward)(const MaskStream& stream, std::uint64_t threshold, const MaskedUnits& of, const HoldBackward<T>& arrays);
  // to = from ⊙ mask, or with `add` to += that   mask: [rows, units]; from, to: with leading dimension
  void (*multiply_mask)(size_t rows, size_t units, const T* mask, StepArray<const T> from, StepArray<T> to, bool add);
};

}  // namespace evenkeel
