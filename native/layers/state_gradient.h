#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "core/aligned_buffer.h"
#include "layers/cells/cell.h"

namespace evenkeel {

// What is asked of a backward pass about g_t = ∂L/∂state_t, the total derivative by the state that step t hands to step t + 1: what comes
// from the output at t and from all later steps.
struct StateGradientOptions {
  double limit;       // ‖g_t‖ of each sequence is limited to this before it goes on; infinite for no limit (Graves 2013)
  double* log_norms;  // ln‖g_t‖ of each sequence, before the limit [N, T, log_norm_columns]: written; null where it is not recorded
  std::int32_t* exponents;  // [N] where it is recorded: dstate is 2^−exponent of the true gradient, at the start and at the end; else null
};

// Of all of g_t; where a part of the state is not put out, also of the part that is, and of the rest.
inline size_t log_norm_columns(const Widths& widths) noexcept { return widths.hidden_state() == 0 ? 1 : 3; }

template <typename T>
struct Rows {
  const T* data;  // null for rows of zeros
  size_t stride;
};

// Gradients [rows, width] that are carried back to a step; null for nothing.
template <typename T>
struct Carried {
  T* data;
  size_t width;
};

// The part of a backward scan that knows g_t as a whole. A recorded gradient is carried as a mantissa and a power of two per sequence, so
// that it neither overflows nor underflows in however many steps; scaling by a power of two is exact. The power moves only when a norm has
// left a wide range around 1, and whatever is summed over time gets true gradients: the parameters' gradients keep every bit, unless an
// element is smaller than the norm by all of T's range.
template <typename T>
class StateGradient {
 public:
  // Throws std::bad_alloc.
  StateGradient(size_t sequences, size_t steps, const Widths& widths, const StateGradientOptions& options);

  // Whether nothing is asked: then the members below change nothing.
  bool idle() const noexcept { return options_.log_norms == nullptr && !limits(); }
  bool limits() const noexcept { return options_.limit < std::numeric_limits<double>::infinity(); }
  // As StepRows has them; null where nothing is scaled.
  const std::int32_t* exponents(size_t first) const noexcept {
    return options_.exponents == nullptr ? nullptr : options_.exponents + first;
  }

  // What an output gives to g_t, in the powers of two of the step's sequences [rows, P]. A power that would make it overflow is first taken
  // out of all that is `carried` back to this step.
  // doutput, returned: rows with a leading dimension
  Rows<T> output_share(const StepRows<T>& step, Rows<T> doutput, std::initializer_list<Carried<T>> carried) const noexcept {
    return step.exponents == nullptr || doutput.data == nullptr ? doutput : scaled_share(step, doutput, carried);
  }
  // dstate, all of g_t [rows, S]: recorded, limited, and brought back into range
  void complete(const StepRows<T>& step, T* dstate) const noexcept {
    if (!idle()) complete_rows(step, dstate);
  }
  // What the step's gradients are in truth, once no product of the recursion needs them.
  void unscale(const StepRows<T>& step, const Carried<T>& gradients) const noexcept {
    if (step.exponents != nullptr && gradients.data != nullptr) unscale_rows(step, gradients);
  }

  // How many gradients were limited so far.
  size_t limited() const noexcept;

 private:
  Rows<T> scaled_share(const StepRows<T>& step, Rows<T> doutput, std::initializer_list<Carried<T>> carried) const noexcept;
  void complete_rows(const StepRows<T>& step, T* dstate) const noexcept;
  void unscale_rows(const StepRows<T>& step, const Carried<T>& gradients) const noexcept;
  void complete_row(size_t sequence, size_t t, T* dstate) const noexcept;
  void record(size_t sequence, size_t t, const T* dstate, double norm, int exponent) const noexcept;

  size_t sequences_, steps_, output_, state_;
  StateGradientOptions options_;
  AlignedBuffer<size_t> limited_;  // of each sequence
  AlignedBuffer<T> shares_;        // [N, P] where gradients are recorded
};

}  // namespace evenkeel
