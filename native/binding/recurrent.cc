#include "layers/recurrent/recurrent.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/kept_lists.h"
#include "layers/cells/cells.h"
#include "layers/cells/masked_cell.h"
#include "layers/lyapunov.h"
#include "layers/recurrent/steps.h"
#include "layers/recurrent/strategy.h"
#include "layers/recurrent/together.h"

namespace evenkeel::binding {
namespace {

// The properties of the one object that recurrentLayer takes.
class Options {
 public:
  Options(Napi::Env env, const Napi::Object& object) : env_(env), object_(object) {}

  double number(const char* name, double otherwise) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return otherwise;
    if (!value.IsNumber()) fail(env_, "ERR_OPTION", std::string(name) + ": expected a number.");
    return value.As<Napi::Number>().DoubleValue();
  }
  // From min to max; `otherwise` where it is left out.
  size_t integer(const char* name, size_t min, size_t max, size_t otherwise) const {
    const double value = number(name, static_cast<double>(otherwise));
    if (!(value >= static_cast<double>(min) && value <= static_cast<double>(max)) ||
        value != static_cast<double>(static_cast<size_t>(value))) {
      fail(env_, "ERR_OPTION",
           std::string(name) + ": expected an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
               std::to_string(value) + ".");
    }
    return static_cast<size_t>(value);
  }
  // 0 where it is left out.
  double probability(const char* name) const {
    const double value = number(name, 0);
    if (!(value >= 0 && value <= 1)) fail(env_, "ERR_OPTION", std::string(name) + ": expected a number from 0 to 1.");
    return value;
  }
  bool boolean(const char* name, bool otherwise) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return otherwise;
    if (!value.IsBoolean()) fail(env_, "ERR_OPTION", std::string(name) + ": expected true or false.");
    return value.As<Napi::Boolean>().Value();
  }
  std::string string(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsString()) fail(env_, "ERR_OPTION", std::string(name) + ": expected a string.");
    return value.As<Napi::String>().Utf8Value();
  }
  Napi::Env env() const { return env_; }

 private:
  Napi::Env env_;
  Napi::Object object_;
};

constexpr size_t kMostSize = 2147483647;  // BLAS counts in 32-bit integers
constexpr size_t kMostPlaces = 1 << 20;

CellOptions cell_options(const Options& given) {
  CellOptions options{
      .input = given.integer("inputSize", 1, kMostSize, 0), .hidden = given.integer("hiddenSize", 1, kMostSize, 0), .output = 0};
  options.output = given.integer("outputSize", 1, kMostSize, options.hidden);
  options.nonlinearity = static_cast<Nonlinearity>(given.integer("nonlinearity", 0, 1, 0));
  options.bias = given.boolean("bias", true);
  options.placement = static_cast<Placement>(given.integer("placement", 0, 4, 0));
  options.norm = static_cast<Norm>(given.integer("normKind", 0, 1, 0));
  options.eps = given.number("eps", 1e-5);
  options.per_gate = given.boolean("perGate", false);
  options.cell_norm = static_cast<CellNorm>(given.integer("cellNorm", 0, 2, 0));
  options.cell_norm_kind = static_cast<Norm>(given.integer("cellNormKind", 0, 1, 0));
  options.cell_norm_eps = given.number("cellNormEps", 1e-5);
  options.reset_after = given.boolean("resetAfter", true);
  options.recurrent_dropout = given.probability("recurrentDropout");
  options.zoneout_hidden = given.probability("zoneoutHidden");
  options.zoneout_cell = given.probability("zoneoutCell");
  options.place = static_cast<std::uint32_t>(given.integer("place", 0, kMostPlaces, 0));
  return options;
}

// A recurrent layer: its cell, and its parameters and their gradients, which JavaScript gives once and calls over at each pass.
class RecurrentLayer {
 public:
  // The arguments: weights, gradients, options.
  RecurrentLayer(const Arguments& arguments, const Options& given)
      : kind_(kind_of(given)),
        options_(cell_options(given)),
        widths_(kind_.widths(options_)),
        traits_(masked_traits()),
        lists_(arguments, {{"weights"}, {"gradients"}}) {
    check_parameters(given.env());
  }

  bool is_double() const { return lists_.kind(0) == napi_float64_array; }
  const Widths& widths() const { return widths_; }
  const CellTraits& traits() const { return traits_; }
  RecurrentShape shape(size_t n, size_t t) const { return {widths_, n, t}; }
  // Whether a backward pass does.
  bool needs_masks() const { return MaskedCell<float>::wants(options_); }

  void find_elements(Napi::Env env) { lists_.find_elements(env); }
  // Once find_elements has been called in this call.
  template <typename T>
  std::unique_ptr<Cell<T>> make_cell(const RecurrentShape& shape, bool keeps, bool backward, const MaskCall* masks) const {
    const CellCall<T> call = {.sequences = shape.n,
                              .keeps = keeps,
                              .in_lanes = scan_strategy<T>(shape, traits_).in_lanes,
                              .values = lists_.all(0),
                              .gradients = backward ? lists_.all(1) : nullptr};
    std::unique_ptr<Cell<T>> cell = kind_.make<T>(options_, call);
    if (!MaskedCell<T>::wants(options_)) return cell;
    return std::make_unique<MaskedCell<T>>(options_, std::move(cell), call, masks);
  }
  template <typename T>
  const T* weight_ih() const {
    return lists_.elements<T>(0, 0);
  }
  template <typename T>
  const T* weight_hh() const {
    return lists_.elements<T>(0, 1);
  }
  template <typename T>
  T* dweight_ih() const {
    return lists_.elements<T>(1, 0);
  }
  template <typename T>
  T* dweight_hh() const {
    return lists_.elements<T>(1, 1);
  }

 private:
  CellTraits masked_traits() const {
    const CellTraits traits = kind_.traits(options_);
    return MaskedCell<float>::wants(options_) ? MaskedCell<float>::traits_of(options_, widths_, traits) : traits;
  }

  static const CellKind& kind_of(const Options& given) {
    const std::string name = given.string("cell");
    const CellKind* kind = find_cell(name);
    if (kind == nullptr) fail(given.env(), "ERR_OPTION", "cell: there is none called \"" + name.substr(0, 40) + "\".");
    return *kind;
  }

  void check_parameters(Napi::Env env) const {
    std::vector<ParameterSize> expected = {{"weightIh", product(env, widths_.gates(), widths_.i)},
                                           {"weightHh", product(env, widths_.gates(), widths_.p)}};
    for (ParameterSize& own : kind_.parameters(options_)) expected.push_back(std::move(own));
    if (lists_.count() != expected.size()) {
      fail(env, "ERR_SHAPE",
           "weights: expected " + std::to_string(expected.size()) + " arrays, got " + std::to_string(lists_.count()) + ".");
    }
    for (size_t k = 0; k < expected.size(); ++k) {
      const std::string name = "weights[" + std::to_string(k) + "], " + expected[k].name;
      if (lists_.kind(k) != lists_.kind(0)) fail(env, "ERR_DTYPE", name + ": expected an array of the kind of the first one.");
      if (lists_.length(k) != expected[k].count) {
        fail(env, lists_.length(k) == 0 ? "ERR_STATE" : "ERR_SHAPE",
             name + ": expected " + std::to_string(expected[k].count) + " elements, got " + std::to_string(lists_.length(k)) + ".");
      }
    }
  }

  static size_t product(Napi::Env env, size_t a, size_t b) {
    size_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) fail(env, "ERR_SHAPE", "The number of elements of an array overflows.");
    return result;
  }

  const CellKind& kind_;
  CellOptions options_;
  Widths widths_;
  CellTraits traits_;
  KeptLists lists_;
};

// What each method of the handle holds on to.
using Handle = std::shared_ptr<RecurrentLayer>;

RecurrentLayer& layer_of(const Arguments& arguments) { return **static_cast<Handle*>(arguments.data()); }

RecurrentShape shape_of(const Arguments& arguments, const RecurrentLayer& layer) {
  return layer.shape(arguments.size(0, "n"), arguments.size(1, "t"));
}

template <typename T>
T* tape_array(const Arguments& arguments, size_t index, const RecurrentShape& shape, const RecurrentLayer& layer, const char* name) {
  const size_t length = tape_length<T>(shape, layer.traits());
  return length == 0 ? nullptr : arguments.array<T>(index, name, length);
}

// The argument `masks`: the key's two words, the pass's first step and, from there on, which sequence each of the pass's is. Null outside
// training.
class Masks {
 public:
  Masks(const Arguments& arguments, size_t index, size_t n) {
    if (arguments.count() <= index || arguments.is_null(index)) return;
    words_ = arguments.copy<std::int32_t>(index, "masks", kHead + n);
    if (words_[2] < 0) fail(arguments.env(), "ERR_OPTION", "masks: expected a first step from 0 on.");
    call_ = {{static_cast<std::uint32_t>(words_[0]), static_cast<std::uint32_t>(words_[1])},
             static_cast<size_t>(words_[2]),
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

// A pass's arrays in the arguments from `first` on: input, initialState, output and, of a forward pass, finalState.
template <typename T>
ForwardPass<T> pass_of(const Arguments& arguments, const RecurrentLayer& layer, const Cell<T>& cell, const RecurrentShape& shape,
                       size_t first) {
  const size_t states = arguments.product({shape.n, shape.s});
  return {.shape = shape,
          .cell = cell,
          .input = arguments.array<T>(first, "input", arguments.product({shape.n, shape.t, shape.i})),
          .initial_state = arguments.optional_array<T>(first + 1, "initialState", states),
          .weight_ih = layer.weight_ih<T>(),
          .weight_hh = layer.weight_hh<T>(),
          .output = arguments.array<T>(first + 2, "output", arguments.product({shape.n, shape.t, shape.p})),
          .final_state = nullptr,
          .tape = nullptr};
}

// body(T zero) with the layer's type
template <typename Body>
auto with_type(const RecurrentLayer& layer, Body&& body) {
  return layer.is_double() ? body(double{}) : body(float{});
}

// body(pass) with the forward pass whose arguments begin at `first`: input, initialState, output, finalState, tape, masks
template <typename T, typename Body>
void with_forward(const Arguments& arguments, RecurrentLayer& layer, const RecurrentShape& shape, size_t first, Body&& body) {
  const bool keeps = !arguments.is_null(first + 4);
  const Masks masks(arguments, first + 5, shape.n);
  const std::unique_ptr<Cell<T>> cell = layer.make_cell<T>(shape, keeps, false, masks.call());
  ForwardPass<T> pass = pass_of(arguments, layer, *cell, shape, first);
  pass.final_state = arguments.optional_array<T>(first + 3, "finalState", arguments.product({shape.n, shape.s}));
  if (keeps) pass.tape = tape_array<T>(arguments, first + 4, shape, layer, "tape");
  body(pass);
}

Napi::Value forward(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  layer.find_elements(arguments.env());
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    with_forward<T>(arguments, layer, shape, 2, [](const ForwardPass<T>& pass) { recurrent_forward(pass); });
  });
  return arguments.env().Undefined();
}

constexpr size_t kPasses = 2, kForwardArguments = 6, kBackwardArguments = 11;  // where a call's passes begin, and how many each takes

StateGradientOptions state_gradient_options(const Arguments& arguments, const RecurrentShape& shape, size_t first) {
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

// body(pass, limited) with the backward pass whose arguments begin at `first`; limited() then says how many gradients were
template <typename T, typename Body>
void with_backward(const Arguments& arguments, RecurrentLayer& layer, const RecurrentShape& shape, size_t first,
                   const ForwardPass<T>* concurrent, Body&& body) {
  const Masks masks(arguments, first + 10, shape.n);
  if (layer.needs_masks() && masks.call() == nullptr) fail(arguments.env(), "ERR_OPTION", "masks: expected those of the forward pass.");
  const std::unique_ptr<Cell<T>> cell = layer.make_cell<T>(shape, true, true, masks.call());
  ForwardPass<T> made = pass_of(arguments, layer, *cell, shape, first);
  made.tape = tape_array<T>(arguments, first + 3, shape, layer, "tape");
  const StateGradient<T> state_gradient(shape.n, shape.t, shape, state_gradient_options(arguments, shape, first + 7));
  const RecurrentGradients<T> gradients = {
      .dinput = arguments.optional_array<T>(first + 5, "gradInput", arguments.product({shape.n, shape.t, shape.i})),
      .dstate = arguments.array<T>(first + 6, "gradState", arguments.product({shape.n, shape.s})),
      .dweight_ih = layer.dweight_ih<T>(),
      .dweight_hh = layer.dweight_hh<T>()};
  const T* doutput = arguments.optional_array<T>(first + 4, "gradOutput", arguments.product({shape.n, shape.t, shape.p}));
  body(BackwardPass<T>{made, doutput, state_gradient, gradients, concurrent});
}

// body(pass) with the concurrent forward pass whose t is at `at`, or null where there is none; its arguments begin at `first`
template <typename T, typename Body>
void with_concurrent(const Arguments& arguments, RecurrentLayer& layer, size_t n, size_t at, size_t first, Body&& body) {
  if (arguments.count() <= at) return body(static_cast<const ForwardPass<T>*>(nullptr));
  const RecurrentShape shape = layer.shape(n, arguments.size(at, "concurrent.t"));
  with_forward<T>(arguments, layer, shape, first, [&](const ForwardPass<T>& pass) { body(&pass); });
}

Napi::Value backward(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  layer.find_elements(arguments.env());
  size_t limited = 0;
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    const size_t concurrent = kPasses + kBackwardArguments;
    with_concurrent<T>(arguments, layer, shape.n, concurrent, concurrent + 1, [&](const ForwardPass<T>* beside) {
      with_backward<T>(arguments, layer, shape, kPasses, beside, [&](const BackwardPass<T>& pass) {
        recurrent_backward(pass);
        limited = pass.state_gradient.limited();
      });
    });
  });
  return Napi::Number::New(arguments.env(), static_cast<double>(limited));
}

// Two layers of one kind, whose passes are of the same steps and sequences.
struct Pair {
  Handle first, second;
};

Pair& pair_of(const Arguments& arguments) {
  auto& pair = *static_cast<Pair*>(arguments.data());
  pair.first->find_elements(arguments.env());
  pair.second->find_elements(arguments.env());
  return pair;
}

Napi::Value pair_forward(const Arguments& arguments) {
  const auto& layers = pair_of(arguments);
  RecurrentLayer &first = *layers.first, &second = *layers.second;
  const RecurrentShape shape = shape_of(arguments, first);
  with_type(first, [&](auto zero) {
    using T = decltype(zero);
    with_forward<T>(arguments, first, shape, kPasses, [&](const ForwardPass<T>& a) {
      with_forward<T>(arguments, second, shape, kPasses + kForwardArguments, [&](const ForwardPass<T>& b) {
        run_together_where_faster(
            shape, [&] { recurrent_forward(a); }, [&] { recurrent_forward(b); });
      });
    });
  });
  return arguments.env().Undefined();
}

Napi::Value pair_backward(const Arguments& arguments) {
  const auto& layers = pair_of(arguments);
  RecurrentLayer &first = *layers.first, &second = *layers.second;
  const RecurrentShape shape = shape_of(arguments, first);
  size_t limited[2] = {0, 0};
  with_type(first, [&](auto zero) {
    using T = decltype(zero);
    using Concurrent = const ForwardPass<T>*;
    using Backward = const BackwardPass<T>&;
    const size_t other = kPasses + kBackwardArguments, at = other + kBackwardArguments;
    with_concurrent<T>(arguments, first, shape.n, at, at + 1, [&](Concurrent beside_a) {
      with_concurrent<T>(arguments, second, shape.n, at, at + 1 + kForwardArguments, [&](Concurrent beside_b) {
        with_backward<T>(arguments, first, shape, kPasses, beside_a, [&](Backward a) {
          with_backward<T>(arguments, second, shape, other, beside_b, [&](Backward b) {
            run_together_where_faster(
                shape, [&] { recurrent_backward(a); }, [&] { recurrent_backward(b); });
            limited[0] = a.state_gradient.limited();
            limited[1] = b.state_gradient.limited();
          });
        });
      });
    });
  });
  Napi::Array both = Napi::Array::New(arguments.env(), 2);
  for (std::uint32_t k = 0; k < 2; ++k) both.Set(k, static_cast<double>(limited[k]));
  return both;
}

Napi::Value tangents(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  if (!layer.is_double()) fail(arguments.env(), "ERR_DTYPE", "tangents: expected a layer in float64.");
  layer.find_elements(arguments.env());
  const std::unique_ptr<Cell<double>> cell = layer.make_cell<double>(shape, true, false, nullptr);
  ForwardPass<double> pass = pass_of(arguments, layer, *cell, shape, 2);
  pass.final_state = arguments.optional_array<double>(5, "finalState", arguments.product({shape.n, shape.s}));
  const auto count = static_cast<size_t>(arguments.integer(6, "count", 1, static_cast<int64_t>(shape.s)));
  evolve_tangents(pass, count, arguments.array<double>(7, "tangents", arguments.product({shape.n, count, shape.s})),
                  arguments.array<double>(8, "logGrowths", arguments.product({shape.n, shape.t, count})));
  return arguments.env().Undefined();
}

Napi::Value state_at(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  const auto step = static_cast<size_t>(arguments.integer(2, "step", 0, static_cast<int64_t>(shape.t) - 1));
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    T* output = arguments.array<T>(3, "output", arguments.product({shape.n, shape.t, shape.p}));
    T* tape = shape.hidden_state() == 0 ? nullptr : tape_array<T>(arguments, 4, shape, layer, "tape");
    read_state(shape, layer.traits(), output, tape, step, arguments.array<T>(5, "state", arguments.product({shape.n, shape.s})));
  });
  return arguments.env().Undefined();
}

RecurrentShape shape_of_any_length(const Arguments& arguments) { return layer_of(arguments).shape(arguments.size(0, "n"), 1); }

Napi::Value chunk_steps(const Arguments& arguments) {
  const size_t steps = recurrent_chunk_steps(shape_of_any_length(arguments), layer_of(arguments).traits());
  return Napi::Number::New(arguments.env(), static_cast<double>(steps));
}

// For tapeLength(n, 0) too: what a tape has beyond its steps.
Napi::Value tape_length_call(const Arguments& arguments) {
  const RecurrentLayer& layer = layer_of(arguments);
  const auto t = static_cast<size_t>(arguments.integer(1, "t", 0, static_cast<int64_t>(kMostSize)));
  const RecurrentShape shape = layer.shape(arguments.size(0, "n"), t);
  const size_t length = with_type(layer, [&](auto zero) { return tape_length<decltype(zero)>(shape, layer.traits()); });
  return Napi::Number::New(arguments.env(), static_cast<double>(length));
}

Napi::Value strategy(const Arguments& arguments) {
  return Napi::String::New(arguments.env(), scan_strategy<float>(shape_of_any_length(arguments), layer_of(arguments).traits()).name);
}

// Some columns of a matrix: the first, and how many it has in all.
struct Columns {
  size_t of, first;
};

Napi::Value copy_steps_call(const Arguments& arguments) {
  const size_t n = arguments.size(0, "n"), t = arguments.size(1, "t"), width = arguments.size(2, "width");
  const auto columns = [&](size_t at, const char* name) {
    const size_t ld = arguments.size(at, name);
    const auto first = static_cast<size_t>(arguments.integer(at + 1, "column", 0, static_cast<int64_t>(ld)));
    if (first + width > ld) fail(arguments.env(), "ERR_SHAPE", std::string(name) + ": expected more columns than that.");
    return Columns{ld, first};
  };
  const Columns source = columns(4, "fromWidth"), target = columns(7, "toWidth");
  std::vector<std::int32_t> lengths;
  if (!arguments.is_null(9)) lengths = arguments.copy<std::int32_t>(9, "lengths", n);
  for (const std::int32_t length : lengths) {
    if (length < 0 || static_cast<size_t>(length) > t) fail(arguments.env(), "ERR_OPTION", "lengths: expected numbers from 0 to t.");
  }
  const bool reverse = arguments.boolean(10, "reverse"), add = arguments.boolean(11, "add");
  with_element_type(arguments, 3, "from", [&](auto zero) {
    using T = decltype(zero);
    const T* from = arguments.array<T>(3, "from", arguments.product({n, t, source.of}));
    T* to = arguments.array<T>(6, "to", arguments.product({n, t, target.of}));
    copy_steps<T>({.n = n, .t = t, .lengths = lengths.empty() ? nullptr : lengths.data(), .reverse = reverse, .add = add}, width,
                  from + source.first, source.of, to + target.first, target.of);
  });
  return arguments.env().Undefined();
}

template <Napi::Value (*Function)(const Arguments&), typename Owner>
void add_method(Napi::Object object, const char* name, const Owner& owner) {
  auto own = std::make_unique<Owner>(owner);
  Napi::Function function = Napi::Function::New<entry<Function>>(object.Env(), name, own.get());
  function.AddFinalizer([](Napi::BasicEnv, Owner* kept) { delete kept; }, own.get());
  static_cast<void>(own.release());  // the function's from now on
  object.Set(name, function);
}

Napi::Value recurrent_layer(const Arguments& arguments) {
  const Napi::Env env = arguments.env();
  const auto layer = std::make_shared<RecurrentLayer>(arguments, Options(env, arguments.object(2, "options")));
  Napi::Object handle = Napi::Object::New(env);
  add_method<forward>(handle, "forward", layer);
  add_method<backward>(handle, "backward", layer);
  add_method<tangents>(handle, "tangents", layer);
  add_method<state_at>(handle, "readState", layer);
  add_method<chunk_steps>(handle, "chunkSteps", layer);
  add_method<tape_length_call>(handle, "tapeLength", layer);
  add_method<strategy>(handle, "strategy", layer);
  handle.Set("stateSize", static_cast<double>(layer->widths().s));
  handle.Set("outputSize", static_cast<double>(layer->widths().p));
  handle.Set("self", Napi::External<Handle>::New(env, new Handle(layer), [](Napi::BasicEnv, Handle* own) { delete own; }));
  return handle;
}

Napi::Value recurrent_pair(const Arguments& arguments) {
  const Napi::Env env = arguments.env();
  const Pair pair = {arguments.external<Handle>(0, "first"), arguments.external<Handle>(1, "second")};
  const Widths &a = pair.first->widths(), &b = pair.second->widths();
  if (a.i != b.i || a.h != b.h || a.p != b.p || a.s != b.s || a.g != b.g || pair.first->is_double() != pair.second->is_double()) {
    fail(env, "ERR_SHAPE", "second: expected a layer of the sizes and the type of the first.");
  }
  Napi::Object handle = Napi::Object::New(env);
  add_method<pair_forward>(handle, "forward", pair);
  add_method<pair_backward>(handle, "backward", pair);
  return handle;
}

Napi::Value set_scan_strategy(const Arguments& arguments) {
  try {
    force_scan_strategy(arguments.string(0, "name"));
  } catch (const std::invalid_argument& error) {
    fail(arguments.env(), "ERR_OPTION", std::string("name: ") + error.what());
  }
  return arguments.env().Undefined();
}

}  // namespace

void register_recurrent(Napi::Object exports) {
  add_function<recurrent_layer>(exports, "recurrentLayer");
  add_function<recurrent_pair>(exports, "recurrentPair");
  add_function<copy_steps_call>(exports, "copySteps");
  add_function<set_scan_strategy>(exports, "setScanStrategy");
}

}  // namespace evenkeel::binding
