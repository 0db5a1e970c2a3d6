#include "binding/arguments.h"
#include "kernels/kernels.h"
#include "layers/linear.h"
#include "layers/normalization.h"

namespace evenkeel::binding {
namespace {

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
  add_function<norm_forward_call<Norm::kLayer>>(exports, "layerNormForward");
  add_function<norm_backward_call<Norm::kLayer>>(exports, "layerNormBackward");
  add_function<norm_forward_call<Norm::kRms>>(exports, "rmsNormForward");
  add_function<norm_backward_call<Norm::kRms>>(exports, "rmsNormBackward");
  add_function<linear_forward_call>(exports, "linearForward");
  add_function<linear_backward_call>(exports, "linearBackward");
}

}  // namespace evenkeel::binding
