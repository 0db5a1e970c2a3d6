#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "layers/recurrent/steps.h"

namespace evenkeel::binding {
namespace {

// Some columns of a matrix: the first, and how many it has in all.
struct Columns {
  size_t of, first;
};

// [N], from 0 to T
std::vector<std::int32_t> lengths_of(const Arguments& arguments, size_t index, size_t n, size_t t) {
  std::vector<std::int32_t> lengths = arguments.copy<std::int32_t>(index, "lengths", n);
  for (const std::int32_t length : lengths) {
    if (length < 0 || static_cast<size_t>(length) > t) fail(arguments.env(), "ERR_OPTION", "lengths: expected numbers from 0 to t.");
  }
  return lengths;
}

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
  if (!arguments.is_null(9)) lengths = lengths_of(arguments, 9, n, t);
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

Napi::Value reorder_steps_call(const Arguments& arguments) {
  const size_t n = arguments.size(0, "n"), t = arguments.size(1, "t"), width = arguments.size(2, "width");
  const std::vector<std::int32_t> lengths = lengths_of(arguments, 5, n, t), order = arguments.copy<std::int32_t>(6, "order", n);
  std::vector<bool> seen(n);
  for (const std::int32_t row : order) {
    if (row < 0 || static_cast<size_t>(row) >= n || seen[static_cast<size_t>(row)]) {
      fail(arguments.env(), "ERR_OPTION", "order: expected every row once.");
    }
    seen[static_cast<size_t>(row)] = true;
  }
  const bool back = arguments.boolean(7, "back");
  with_element_type(arguments, 3, "from", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.product({n, t, width});
    const T* from = arguments.array<T>(3, "from", count);
    reorder_steps<T>({.n = n, .t = t, .lengths = lengths.data(), .order = order.data(), .back = back}, width, from,
                     arguments.array<T>(4, "to", count));
  });
  return arguments.env().Undefined();
}

}  // namespace

void register_copy_steps(Napi::Object exports) {
  add_function<copy_steps_call>(exports, "copySteps");
  add_function<reorder_steps_call>(exports, "reorderSteps");
}

}  // namespace evenkeel::binding
