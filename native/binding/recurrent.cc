#include <memory>
#include <stdexcept>
#include <string>

#include "binding/recurrent_passes.h"
#include "layers/lyapunov.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel::binding {
namespace {

RecurrentLayer& layer_of(const Arguments& arguments) { return **static_cast<Handle*>(arguments.data()); }

Napi::Value forward(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  layer.find_weights(arguments.env());
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    const TimeParts<T> time(arguments, kPasses + kForwardArguments - 1, shape, layer);
    const Sharing<T> sharing(layer, time);
    for (const TimePart& part : time.all()) {
      with_forward<T>(arguments, layer, shape, time, part, kPasses, [](const ForwardPass<T>& pass) { recurrent_forward(pass); });
    }
  });
  return arguments.env().Undefined();
}

Napi::Value keep_weights(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  layer.find_weights(arguments.env());
  with_type(layer, [&](auto zero) { layer.keep_weights<decltype(zero)>(); });
  return arguments.env().Undefined();
}

Napi::Value share_weights(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const bool shares = arguments.boolean(0, "shares");
  with_type(layer, [&](auto zero) { layer.share_weights<decltype(zero)>(shares); });
  return arguments.env().Undefined();
}

Napi::Value backward(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  layer.find_elements(arguments.env());
  size_t limited = 0;
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    const size_t at = kPasses + kBackwardArguments;
    const TimeParts<T> time(arguments, at - 1, shape, layer);
    const Sharing<T> sharing(layer, time);
    with_concurrent<T>(arguments, layer, shape.n, at, at + 1, [&](const ForwardPass<T>* concurrent) {
      for (size_t index = time.all().size(); index-- > 0;) {
        with_backward<T>(arguments, layer, shape, time, index, kPasses, concurrent, [&](const BackwardPass<T>& pass) {
          recurrent_backward(pass);
          limited += pass.state_gradient.limited();
        });
      }
    });
  });
  return Napi::Number::New(arguments.env(), static_cast<double>(limited));
}

Napi::Value tangents(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = shape_of(arguments, layer);
  if (!layer.is_double()) fail(arguments.env(), "ERR_DTYPE", "tangents: expected a layer in float64.");
  layer.find_elements(arguments.env());
  const std::unique_ptr<Cell<double>> cell = layer.make_cell<double>(shape, true, false, nullptr);
  ForwardPass<double> pass = pass_of(arguments, layer, *cell, shape, {shape.n, 0, shape.t, 0}, kPasses);
  pass.final_state = arguments.optional_array<double>(5, "finalState", arguments.product({shape.n, shape.s}));
  const auto count = static_cast<size_t>(arguments.integer(6, "count", 1, static_cast<int64_t>(shape.s)));
  evolve_tangents(pass, count, arguments.array<double>(7, "tangents", arguments.product({shape.n, count, shape.s})),
                  arguments.array<double>(8, "logGrowths", arguments.product({shape.n, shape.t, count})));
  return arguments.env().Undefined();
}

Napi::Value state_at(const Arguments& arguments) {
  RecurrentLayer& layer = layer_of(arguments);
  const RecurrentShape shape = with_stride(arguments, 6, shape_of(arguments, layer));
  const auto step = static_cast<size_t>(arguments.integer(2, "step", 0, static_cast<int64_t>(shape.t) - 1));
  with_type(layer, [&](auto zero) {
    using T = decltype(zero);
    T* output = arguments.array<T>(3, "output", steps_length(arguments, shape, shape.p));
    T* tape = shape.hidden_state() == 0 ? nullptr : tape_array<T>(arguments, 4, tape_length<T>(shape, layer.traits()), "tape");
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

Napi::Value recurrent_layer(const Arguments& arguments) {
  const Napi::Env env = arguments.env();
  const auto layer = std::make_shared<RecurrentLayer>(arguments, arguments.object(2, "options"));
  Napi::Object handle = Napi::Object::New(env);
  add_method<forward>(handle, "forward", layer);
  add_method<backward>(handle, "backward", layer);
  add_method<tangents>(handle, "tangents", layer);
  add_method<state_at>(handle, "readState", layer);
  add_method<chunk_steps>(handle, "chunkSteps", layer);
  add_method<tape_length_call>(handle, "tapeLength", layer);
  add_method<strategy>(handle, "strategy", layer);
  add_method<keep_weights>(handle, "keepWeights", layer);
  add_method<share_weights>(handle, "shareWeights", layer);
  handle.Set("stateSize", static_cast<double>(layer->widths().s));
  handle.Set("outputSize", static_cast<double>(layer->widths().p));
  handle.Set("self", Napi::External<Handle>::New(env, new Handle(layer), [](Napi::BasicEnv, Handle* own) { delete own; }));
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
  add_function<set_scan_strategy>(exports, "setScanStrategy");
}

}  // namespace evenkeel::binding
