#include <vector>

#include "binding/arguments.h"
#include "kernels/kernels.h"
#include "layers/dropout.h"

namespace evenkeel::binding {
namespace {

constexpr int64_t kMaxWord = 0xffffffff;

std::uint32_t word(const Arguments& arguments, size_t index, const char* name) {
  return static_cast<std::uint32_t>(arguments.integer(index, name, 0, kMaxWord));
}

Napi::Value dropout_call(const Arguments& arguments) {
  with_element_type(arguments, 6, "input", [&](auto zero) {
    using T = decltype(zero);
    const size_t sequences = arguments.size(0, "sequences");
    const size_t size = arguments.size(1, "size");
    const bool has_counts = !arguments.is_null(2);
    const std::vector<std::int32_t> counts =
        has_counts ? arguments.copy<std::int32_t>(2, "counts", sequences) : std::vector<std::int32_t>();
    for (const std::int32_t count : counts) {
      if (count < 0 || static_cast<size_t>(count) > size) fail(arguments.env(), "ERR_OPTION", "counts: expected numbers from 0 to size.");
    }
    const philox::Key key = {word(arguments, 3, "key0"), word(arguments, 4, "key1")};
    const size_t all = arguments.product({sequences, size});
    dropout(sequences, size, has_counts ? counts.data() : nullptr, key, arguments.number(5, "probability"),
            arguments.array<T>(6, "input", all), arguments.array<T>(7, "output", all));
  });
  return arguments.env().Undefined();
}

Napi::Value random_words_call(const Arguments& arguments) {
  const MaskStream stream = {.key = {word(arguments, 0, "key0"), word(arguments, 1, "key1")},
                             .stream = word(arguments, 5, "stream"),
                             .step = word(arguments, 4, "step")};
  const size_t blocks = arguments.size(6, "blocks");
  auto* words = arguments.array<std::int32_t>(7, "words", arguments.product({blocks, 4}));
  kernels<float>().random_words(stream, word(arguments, 3, "row"), word(arguments, 2, "firstBlock"), blocks,
                                reinterpret_cast<std::uint32_t*>(words));
  return arguments.env().Undefined();
}

}  // namespace

void register_masks(Napi::Object exports) {
  add_function<dropout_call>(exports, "dropout");
  add_function<random_words_call>(exports, "randomWords");
}

}  // namespace evenkeel::binding
