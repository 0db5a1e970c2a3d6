#include "layers/embedding.h"

#include <algorithm>
#include <string>
#include <vector>

#include "binding/arguments.h"

namespace evenkeel::binding {
namespace {

// Copied before they are checked: another thread may share their memory.
std::vector<std::int32_t> checked_indices(const Arguments& arguments, size_t index, size_t rows, size_t vocabulary, std::int32_t least) {
  std::vector<std::int32_t> indices = arguments.copy<std::int32_t>(index, "indices", rows);
  for (const std::int32_t value : indices) {
    if (value < least || (value >= 0 && static_cast<size_t>(value) >= vocabulary)) {
      fail(arguments.env(), "ERR_OPTION",
           "indices: expected numbers from " + std::to_string(least) + " to " + std::to_string(vocabulary - 1) + ", got " +
               std::to_string(value) + ".");
    }
  }
  return indices;
}

struct TableShape {
  size_t rows, vocabulary, width;
};

TableShape table_shape(const Arguments& arguments) {
  return {arguments.size(0, "rows"), arguments.size(1, "vocabulary"), arguments.size(2, "width")};
}

Napi::Value embedding_forward_call(const Arguments& arguments) {
  with_element_type(arguments, 4, "weight", [&](auto zero) {
    using T = decltype(zero);
    const auto [rows, vocabulary, width] = table_shape(arguments);
    embedding_forward(rows, width, checked_indices(arguments, 3, rows, vocabulary, -1).data(),
                      arguments.array<T>(4, "weight", arguments.product({vocabulary, width})),
                      arguments.array<T>(5, "output", arguments.product({rows, width})));
  });
  return arguments.env().Undefined();
}

Napi::Value embedding_backward_call(const Arguments& arguments) {
  const size_t count = with_element_type(arguments, 4, "gradOutput", [&](auto zero) {
    using T = decltype(zero);
    const auto [rows, vocabulary, width] = table_shape(arguments);
    return embedding_backward(rows, width, checked_indices(arguments, 3, rows, vocabulary, -1).data(),
                              arguments.array<T>(4, "gradOutput", arguments.product({rows, width})),
                              arguments.array<T>(5, "gradWeight", arguments.product({vocabulary, width})),
                              arguments.array<std::int32_t>(6, "touched", std::min(rows, vocabulary)));
  });
  return Napi::Number::New(arguments.env(), static_cast<double>(count));
}

template <bool scatters>
Napi::Value move_rows_call(const Arguments& arguments) {
  with_element_type(arguments, 4, "from", [&](auto zero) {
    using T = decltype(zero);
    const auto [rows, vocabulary, width] = table_shape(arguments);
    const std::vector<std::int32_t> indices = checked_indices(arguments, 3, rows, vocabulary, 0);
    const size_t few = arguments.product({rows, width});
    const size_t all = arguments.product({vocabulary, width});
    const T* from = arguments.array<T>(4, "from", scatters ? few : all);
    T* to = arguments.array<T>(5, "to", scatters ? all : few);
    if (scatters) {
      scatter_rows(rows, width, indices.data(), from, to);
    } else {
      gather_rows(rows, width, indices.data(), from, to);
    }
  });
  return arguments.env().Undefined();
}

}  // namespace

void register_embedding(Napi::Object exports) {
  add_function<embedding_forward_call>(exports, "embeddingForward");
  add_function<embedding_backward_call>(exports, "embeddingBackward");
  add_function<move_rows_call<false>>(exports, "gatherRows");
  add_function<move_rows_call<true>>(exports, "scatterRows");
}

}  // namespace evenkeel::binding
