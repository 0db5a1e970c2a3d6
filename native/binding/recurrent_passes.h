#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "binding/recurrent_layer.h"
#include "binding/time_parts.h"
#include "core/aligned_buffer.h"
#include "layers/recurrent/recurrent.h"

// What the passes of a call take out of its arguments: their arrays, and a cell for as long as they last.
namespace evenkeel::binding {

constexpr size_t kPasses = 2, kForwardArguments = 8, kBackwardArguments = 13;  // where a call's passes begin, and how many each takes

inline RecurrentShape shape_of(const Arguments& arguments, const RecurrentLayer& layer) {
  return layer.shape(arguments.size(0, "n"), arguments.size(1, "t"));
}

// With what the argument `stride` says, the steps from one sequence to the next in arrays [N, T, ·]; null for T.
inline RecurrentShape with_stride(const Arguments& arguments, size_t index, RecurrentShape shape) {
  if (arguments.count() <= index || arguments.is_null(index)) return shape;
  shape.t_stride = static_cast<size_t>(arguments.integer(index, "stride", static_cast<int64_t>(shape.t), static_cast<int64_t>(kMostSize)));
  return shape;
}

// Elements of such an array, which ends with the last sequence's last step.
inline size_t steps_length(const Arguments& arguments, const RecurrentShape& shape, size_t width) {
  return arguments.product({shape.n, shape.steps_apart(), width}) - (shape.steps_apart() - shape.t) * width;
}

template <typename T>
T* tape_array(const Arguments& arguments, size_t index, size_t length, const char* name) {
  return length == 0 ? nullptr : arguments.array<T>(index, name, length);
}

// The argument `masks`: the key's two words, the pass's first step and, from there on, which sequence each of the pass's is. Null outside
// training. Here those of a part.
class Masks {
 public:
  Masks(const Arguments& arguments, size_t index, size_t n, const TimePart& part) {
    if (arguments.count() <= index || arguments.is_null(index)) return;
    words_ = arguments.copy<std::int32_t>(index, "masks", kHead + n);
    if (words_[2] < 0) fail(arguments.env(), "ERR_OPTION", "masks: expected a first step from 0 on.");
    call_ = {{static_cast<std::uint32_t>(words_[0]), static_cast<std::uint32_t>(words_[1])},
             static_cast<size_t>(words_[2]) + part.begin,
             words_.data() + kHead};
  }
  Masks(const Masks&) = delete;
  Masks& operator=(const Masks&) = delete;

  const MaskCall* call() const { return words_.empty() ? nullptr : &call_; }

 private:
  static constexpr size_t kHead = 3;
  std::vector<std::int32_t> words_;
  MaskCall call_ = {};
};

// A part's arrays in the arguments from `first` on, those of a pass over `whole`: input, initialState, output and, of a forward pass,
// finalState.
template <typename T>
ForwardPass<T> pass_of(const Arguments& arguments, const RecurrentLayer& layer, const Cell<T>& cell, const RecurrentShape& whole,
                       const TimePart& part, size_t first) {
  const size_t states = arguments.product({whole.n, whole.s});
  return {.shape = part.of(whole),
          .cell = cell,
          .input = arguments.array<T>(first, "input", steps_length(arguments, whole, whole.i)) + part.begin * whole.i,
          .initial_state = arguments.optional_array<T>(first + 1, "initialState", states),
          .weight_ih = layer.weight_ih<T>(),
          .weight_hh = layer.weight_hh<T>(),
          .output = arguments.array<T>(first + 2, "output", steps_length(arguments, whole, whole.p)) + part.begin * whole.p,
          .final_state = nullptr,
          .tape = nullptr,
          .kept = layer.kept<T>(),
          .shared = layer.shared<T>()};
}

// body(T zero) with the layer's type
template <typename Body>
auto with_type(const RecurrentLayer& layer, Body&& body) {
  return layer.is_double() ? body(double{}) : body(float{});
}

// body(pass) with a part of the forward pass whose arguments begin at `first`: input, initialState, output, finalState, tape, masks,
// stride, lengths
template <typename T, typename Body>
void with_forward(const Arguments& arguments, RecurrentLayer& layer, const RecurrentShape& packed, const TimeParts<T>& time,
                  const TimePart& part, size_t first, Body&& body) {
  const RecurrentShape whole = with_stride(arguments, first + 6, packed);
  const bool keeps = !arguments.is_null(first + 4);
  const Masks masks(arguments, first + 5, whole.n, part);
  const std::unique_ptr<Cell<T>> cell = layer.make_cell<T>(part.of(whole), keeps, false, masks.call());
  ForwardPass<T> pass = pass_of(arguments, layer, *cell, whole, part, first);
  const size_t states = arguments.product({whole.n, whole.s});
  pass.final_state = time.has_lengths() ? arguments.array<T>(first + 3, "finalState", states)
                                        : arguments.optional_array<T>(first + 3, "finalState", states);
  // Each part after the first goes on in place: those of sequences that have ended stay.
  if (part.begin > 0) pass.initial_state = pass.final_state;
  if (keeps) {
    T* tape = tape_array<T>(arguments, first + 4, time.tape(), "tape");
    pass.tape = tape == nullptr ? nullptr : tape + part.tape;
  }
  body(pass);
}

// The same of the whole of the time.
template <typename T, typename Body>
void with_forward(const Arguments& arguments, RecurrentLayer& layer, const RecurrentShape& packed, size_t first, Body&& body) {
  const TimeParts<T> time(arguments, arguments.count(), packed, layer);
  with_forward<T>(arguments, layer, packed, time, time.all().front(), first, body);
}

inline StateGradientOptions state_gradient_options(const Arguments& arguments, const RecurrentShape& shape, size_t first) {
  const StateGradientOptions options = {
      .limit = arguments.number(first, "limit"),
      .log_norms = arguments.optional_array<double>(first + 1, "logNorms", arguments.product({shape.n, shape.t, log_norm_columns(shape)})),
      .exponents = arguments.optional_array<std::int32_t>(first + 2, "exponents", shape.n),
  };
  if ((options.log_norms == nullptr) != (options.exponents == nullptr)) {
    fail(arguments.env(), "ERR_OPTION", "logNorms, exponents: expected both or neither.");
  }
  return options;
}

// body(pass) with the backward pass over the part `index`, whose arguments begin at `first`
template <typename T, typename Body>
void with_backward(const Arguments& arguments, RecurrentLayer& layer, const RecurrentShape& packed, const TimeParts<T>& time, size_t index,
                   size_t first, const ForwardPass<T>* concurrent, Body&& body) {
  const RecurrentShape whole = with_stride(arguments, first + 11, packed);
  const TimePart& part = time.all()[index];
  const Masks masks(arguments, first + 10, whole.n, part);
  if (layer.needs_masks() && masks.call() == nullptr) fail(arguments.env(), "ERR_OPTION", "masks: expected those of the forward pass.");
  const std::unique_ptr<Cell<T>> cell = layer.make_cell<T>(part.of(whole), true, true, masks.call());
  ForwardPass<T> made = pass_of(arguments, layer, *cell, whole, part, first);
  T* tape = tape_array<T>(arguments, first + 3, time.tape(), "tape");
  made.tape = tape == nullptr ? nullptr : tape + part.tape;
  const AlignedBuffer<T> before(index == 0 ? 0 : time.all()[index - 1].rows * whole.s);
  if (index > 0) {
    const TimePart& last = time.all()[index - 1];
    const T* output = made.output - (part.begin - last.begin) * whole.p;
    read_state(last.of(whole), layer.traits(), output, tape == nullptr ? nullptr : tape + last.tape, last.steps - 1, before.get());
    made.initial_state = before.get();
  }
  if (time.has_lengths() && (!arguments.is_null(first + 8) || concurrent != nullptr)) {
    fail(arguments.env(), "ERR_OPTION", "lengths: expected none where norms are recorded or a forward pass is made beside.");
  }
  const StateGradient<T> state_gradient(made.shape.n, made.shape.t, made.shape, state_gradient_options(arguments, made.shape, first + 7));
  T* dinput = arguments.optional_array<T>(first + 5, "gradInput", steps_length(arguments, whole, whole.i));
  const RecurrentGradients<T> gradients = {.dinput = dinput == nullptr ? nullptr : dinput + part.begin * whole.i,
                                           .dstate = arguments.array<T>(first + 6, "gradState", arguments.product({whole.n, whole.s})),
                                           .dweight_ih = layer.dweight_ih<T>(),
                                           .dweight_hh = layer.dweight_hh<T>()};
  const T* doutput = arguments.optional_array<T>(first + 4, "gradOutput", steps_length(arguments, whole, whole.p));
  body(BackwardPass<T>{made, doutput == nullptr ? nullptr : doutput + part.begin * whole.p, state_gradient, gradients, concurrent});
}

// body(pass) with the concurrent forward pass whose t is at `at`, or null where there is none; its arguments begin at `first`
template <typename T, typename Body>
void with_concurrent(const Arguments& arguments, RecurrentLayer& layer, size_t n, size_t at, size_t first, Body&& body) {
  if (arguments.count() <= at) return body(static_cast<const ForwardPass<T>*>(nullptr));
  const RecurrentShape shape = layer.shape(n, arguments.size(at, "concurrent.t"));
  with_forward<T>(arguments, layer, shape, first, [&](const ForwardPass<T>& pass) { body(&pass); });
}

}  // namespace evenkeel::binding
