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

}  // namespace

void register_copy_steps(Napi::Object exports) { add_function<copy_steps_call>(exports, "copySteps"); }

}  // namespace evenkeel::binding
