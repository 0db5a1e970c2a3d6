#include <stdexcept>
#include <string>

#include "binding/arguments.h"
#include "binding/norm_arguments.h"
#include "kernels/kernels.h"
#include "layers/cells/elman.h"
#include "layers/linear.h"
#include "layers/lyapunov.h"
#include "layers/normalization.h"
#include "layers/recurrent/recurrent.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel::binding {
namespace {

constexpr size_t kRnnInput = 5;  // the position of `input`, after the four sizes and the nonlinearity

RecurrentShape recurrent_shape(const Arguments& arguments) {
  return {arguments.size(0, "n"), arguments.size(1, "t"), arguments.size(2, "i"), arguments.size(3, "h")};
}

Nonlinearity nonlinearity(const Arguments& arguments) { return static_cast<Nonlinearity>(arguments.integer(4, "nonlinearity", 0, 1)); }

template <typename T>
RecurrentInputs<T> recurrent_inputs(const Arguments& arguments, const RecurrentShape& s) {
  return {.input = arguments.array<T>(kRnnInput, "input", arguments.product({s.n, s.t, s.i})),
          .initial_state = arguments.optional_array<T>(6, "initialState", arguments.product({s.n, s.h})),
          .weight_ih = arguments.array<T>(7, "weightIh", arguments.product({s.h, s.i})),
          .weight_hh = arguments.array<T>(8, "weightHh", arguments.product({s.h, s.h}))};
}

Napi::Value rnn_forward(const Arguments& arguments) {
  with_element_type(arguments, kRnnInput, "input", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentShape s = recurrent_shape(arguments);
    const RecurrentInputs<T> inputs = recurrent_inputs<T>(arguments, s);
    const ElmanBiases<T> biases = {arguments.array<T>(9, "biasIh", s.h), arguments.array<T>(10, "biasHh", s.h), nullptr, nullptr};
    const NormSites<T> sites = norm_sites<T>(arguments, 12, s);
    const ElmanCell<T> cell(s.h, nonlinearity(arguments), biases, sites);
    recurrent_forward(s, cell, inputs, arguments.array<T>(11, "output", arguments.product({s.n, s.t, s.h})));
  });
  return arguments.env().Undefined();
}

Napi::Value rnn_tangents(const Arguments& arguments) {
  const RecurrentShape s = recurrent_shape(arguments);
  const RecurrentInputs<double> inputs = recurrent_inputs<double>(arguments, s);
  const ElmanBiases<double> biases = {arguments.array<double>(9, "biasIh", s.h), arguments.array<double>(10, "biasHh", s.h), nullptr,
                                      nullptr};
  double* output = arguments.array<double>(11, "output", arguments.product({s.n, s.t, s.h}));
  const NormSites<double> sites = norm_sites<double>(arguments, 12, s, {}, true);
  const ElmanCell<double> cell(s.h, nonlinearity(arguments), biases, sites);
  const auto count = static_cast<size_t>(arguments.integer(23, "count", 1, static_cast<int64_t>(s.h)));
  double* tangents = arguments.array<double>(24, "tangents", arguments.product({s.n, count, s.h}));
  double* log_growths = arguments.array<double>(25, "logGrowths", arguments.product({s.n, s.t, count}));
  recurrent_forward(s, cell, inputs, output);
  evolve_tangents(s, cell, inputs, output, count, tangents, log_growths);
  return arguments.env().Undefined();
}

constexpr size_t kStateGradient = 34;  // the position of `stateGradientLimit`, after all arrays

StateGradientOptions state_gradient_options(const Arguments& arguments, const RecurrentShape& s) {
  const StateGradientOptions options = {
      .limit = arguments.number(kStateGradient, "stateGradientLimit"),
      .log_norms = arguments.optional_array<double>(kStateGradient + 1, "logNorms", arguments.product({s.n, s.t})),
      .exponents = arguments.optional_array<std::int32_t>(kStateGradient + 2, "exponents", s.n),
  };
  if ((options.log_norms == nullptr) != (options.exponents == nullptr)) {
    fail(arguments.env(), "ERR_OPTION", "logNorms, exponents: expected both or neither.");
  }
  return options;
}

constexpr size_t kBeside = kStateGradient + 3;  // the position of the arguments of a forward pass beside the backward pass, if there is one

// body(that forward pass), with the same weights over another part of the time; body(null) where there is none.
template <typename T, typename Body>
void with_forward_beside(const Arguments& arguments, const RecurrentShape& s, const RecurrentInputs<T>& inputs,
                         const ElmanBiases<T>& biases, Body&& body) {
  if (arguments.count() <= kBeside) return body(nullptr);
  const RecurrentShape shape{s.n, arguments.size(kBeside, "beside.t"), s.i, s.h};
  const NormSites<T> sites = norm_sites<T>(arguments, kBeside + 4, shape);
  const ElmanCell<T> cell(s.h, nonlinearity(arguments), biases, sites);
  const ForwardPass<T> pass = {
      .shape = shape,
      .cell = &cell,
      .inputs = {.input = arguments.array<T>(kBeside + 1, "beside.input", arguments.product({s.n, shape.t, s.i})),
                 .initial_state = arguments.optional_array<T>(kBeside + 2, "beside.initialState", s.n * s.h),
                 .weight_ih = inputs.weight_ih,
                 .weight_hh = inputs.weight_hh},
      .output = arguments.array<T>(kBeside + 3, "beside.output", arguments.product({s.n, shape.t, s.h})),
  };
  body(&pass);
}

Napi::Value rnn_backward(const Arguments& arguments) {
  return with_element_type(arguments, kRnnInput, "input", [&](auto zero) -> Napi::Value {
    using T = decltype(zero);
    const RecurrentShape s = recurrent_shape(arguments);
    const RecurrentInputs<T> inputs = recurrent_inputs<T>(arguments, s);
    const size_t states = arguments.product({s.n, s.t, s.h});
    const T* output = arguments.array<T>(11, "output", states);
    const T* doutput = arguments.optional_array<T>(12, "gradOutput", states);
    const RecurrentGradients<T> gradients = {
        .dinput = arguments.optional_array<T>(13, "gradInput", arguments.product({s.n, s.t, s.i})),
        .dstate = arguments.array<T>(14, "gradState", arguments.product({s.n, s.h})),
        .dweight_ih = arguments.array<T>(15, "gradWeightIh", arguments.product({s.h, s.i})),
        .dweight_hh = arguments.array<T>(16, "gradWeightHh", arguments.product({s.h, s.h})),
    };
    const ElmanBiases<T> biases = {arguments.array<T>(9, "biasIh", s.h), arguments.array<T>(10, "biasHh", s.h),
                                   arguments.array<T>(17, "gradBiasIh", s.h), arguments.array<T>(18, "gradBiasHh", s.h)};
    const NormSites<T> sites = norm_sites<T>(arguments, 19, s, 30);
    const ElmanCell<T> cell(s.h, nonlinearity(arguments), biases, sites);
    const StateGradient<T> state_gradient(s.n, s.t, s.h, state_gradient_options(arguments, s));
    with_forward_beside(arguments, s, inputs, biases, [&](const ForwardPass<T>* beside) {
      recurrent_backward(s, cell, inputs, output, doutput, state_gradient, gradients, beside);
    });
    return Napi::Number::New(arguments.env(), static_cast<double>(state_gradient.limited()));
  });
}

RecurrentShape shape_of_any_length(const Arguments& arguments) {
  return {.n = arguments.size(0, "n"), .t = 1, .i = arguments.size(1, "i"), .h = arguments.size(2, "h")};
}

// An Elman cell has its step in lanes where nothing in it is normalised.
bool without_norms(const Arguments& arguments) { return arguments.integer(3, "placement", 0, 4) == 0; }

Napi::Value rnn_chunk_steps(const Arguments& arguments) {
  return Napi::Number::New(arguments.env(),
                           static_cast<double>(recurrent_chunk_steps(shape_of_any_length(arguments), without_norms(arguments))));
}

Napi::Value scan_strategy_name(const Arguments& arguments) {
  return Napi::String::New(arguments.env(), scan_strategy<float>(shape_of_any_length(arguments), without_norms(arguments)).name);
}

Napi::Value set_scan_strategy(const Arguments& arguments) {
  try {
    force_scan_strategy(arguments.string(0, "name"));
  } catch (const std::invalid_argument& error) {
    fail(arguments.env(), "ERR_OPTION", std::string("name: ") + error.what());
  }
  return arguments.env().Undefined();
}

// LayerNorm keeps three numbers of each row, in three arrays [rows] one after the other; RMSNorm keeps one.
template <typename T>
RowStatistics<T> row_statistics(const Arguments& arguments, size_t index, Norm norm, size_t rows) {
  T* packed = arguments.array<T>(index, "statistics", norm == Norm::kLayer ? 3 * rows : rows);
  if (norm == Norm::kRms) return {nullptr, nullptr, packed};
  return {packed, packed + rows, packed + 2 * rows};
}

template <Norm norm>
Napi::Value norm_forward_call(const Arguments& arguments) {
  with_element_type(arguments, 3, "input", [&](auto zero) {
    using T = decltype(zero);
    const size_t rows = arguments.size(0, "rows");
    const size_t size = arguments.size(1, "size");
    const size_t count = arguments.product({rows, size});
    norm_forward(norm, rows, size, static_cast<T>(arguments.number(2, "eps")), arguments.array<T>(3, "input", count),
                 arguments.optional_array<T>(4, "weight", size), arguments.optional_array<T>(5, "bias", size),
                 arguments.array<T>(6, "output", count), row_statistics<T>(arguments, 7, norm, rows));
  });
  return arguments.env().Undefined();
}

template <Norm norm>
Napi::Value norm_backward_call(const Arguments& arguments) {
  with_element_type(arguments, 2, "input", [&](auto zero) {
    using T = decltype(zero);
    const size_t rows = arguments.size(0, "rows");
    const size_t size = arguments.size(1, "size");
    const size_t count = arguments.product({rows, size});
    T* dweight = arguments.optional_array<T>(7, "gradWeight", size);
    T* dbias = arguments.optional_array<T>(8, "gradBias", size);
    if (dweight == nullptr && dbias != nullptr) fail(arguments.env(), "ERR_OPTION", "gradWeight: expected one where there is a gradBias.");
    norm_backward(norm, rows, size, arguments.array<T>(2, "input", count), arguments.optional_array<T>(3, "weight", size),
                  row_statistics<T>(arguments, 4, norm, rows), arguments.array<T>(5, "gradOutput", count),
                  arguments.optional_array<T>(6, "gradInput", count), dweight, dbias);
  });
  return arguments.env().Undefined();
}

struct LinearShape {
  size_t rows, in, out;
};

LinearShape linear_shape(const Arguments& arguments) {
  return {arguments.size(0, "rows"), arguments.size(1, "inputSize"), arguments.size(2, "outputSize")};
}

Napi::Value linear_forward_call(const Arguments& arguments) {
  with_element_type(arguments, 3, "input", [&](auto zero) {
    using T = decltype(zero);
    const auto [rows, in, out] = linear_shape(arguments);
    linear_forward(rows, in, out, arguments.array<T>(3, "input", arguments.product({rows, in})),
                   arguments.array<T>(4, "weight", arguments.product({out, in})), arguments.optional_array<T>(5, "bias", out),
                   arguments.array<T>(6, "output", arguments.product({rows, out})));
  });
  return arguments.env().Undefined();
}

Napi::Value linear_backward_call(const Arguments& arguments) {
  with_element_type(arguments, 3, "input", [&](auto zero) {
    using T = decltype(zero);
    const auto [rows, in, out] = linear_shape(arguments);
    linear_backward(rows, in, out, arguments.array<T>(3, "input", arguments.product({rows, in})),
                    arguments.array<T>(4, "weight", arguments.product({out, in})),
                    arguments.array<T>(5, "gradOutput", arguments.product({rows, out})),
                    arguments.optional_array<T>(6, "gradInput", arguments.product({rows, in})),
                    arguments.array<T>(7, "gradWeight", arguments.product({out, in})), arguments.optional_array<T>(8, "gradBias", out));
  });
  return arguments.env().Undefined();
}

}  // namespace

void register_layers(Napi::Object exports) {
  add_function<rnn_forward>(exports, "rnnForward");
  add_function<rnn_backward>(exports, "rnnBackward");
  add_function<rnn_tangents>(exports, "rnnTangents");
  add_function<rnn_chunk_steps>(exports, "rnnChunkSteps");
  add_function<scan_strategy_name>(exports, "scanStrategy");
  add_function<set_scan_strategy>(exports, "setScanStrategy");
  add_function<norm_forward_call<Norm::kLayer>>(exports, "layerNormForward");
  add_function<norm_backward_call<Norm::kLayer>>(exports, "layerNormBackward");
  add_function<norm_forward_call<Norm::kRms>>(exports, "rmsNormForward");
  add_function<norm_backward_call<Norm::kRms>>(exports, "rmsNormBackward");
  add_function<linear_forward_call>(exports, "linearForward");
  add_function<linear_backward_call>(exports, "linearBackward");
}

}  // namespace evenkeel::binding
