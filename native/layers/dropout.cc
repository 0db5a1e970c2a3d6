#include "layers/dropout.h"

#include <algorithm>

#include "kernels/kernels.h"
#include "layers/partial_sums.h"

namespace evenkeel {

template <typename T>
void dropout(size_t sequences, size_t size, const std::int32_t* counts, philox::Key key, double probability, const T* input,
             T* output) noexcept {
  const MaskStream stream = {.key = key, .stream = 0, .step = 0};
  const std::uint64_t threshold = mask_threshold(probability);
  const T kept = static_cast<T>(1 / (1 - probability));
  const bool keeps_all = threshold == 0;
  const auto units = [&](size_t sequence, size_t begin, size_t end) {
    const size_t offset = sequence * size;
    const size_t count = counts == nullptr ? size : static_cast<size_t>(counts[sequence]);
    const size_t last = std::clamp(count, begin, end);
    if (keeps_all) {
      std::copy(input + offset + begin, input + offset + last, output + offset + begin);
    } else if (last > begin) {
      kernels<T>().apply_mask(stream, threshold, T{0}, kept, sequence, 1, begin, last - begin, input + offset + begin, size,
                              output + offset + begin, size);
    }
    std::fill(output + offset + last, output + offset + end, T{0});
  };
  if (size > kElementsPerPart) {
    for (size_t sequence = 0; sequence < sequences; ++sequence) {
      parallel_ranges(size, kElementsPerPart, [&](size_t begin, size_t end) { units(sequence, begin, end); });
    }
    return;
  }
  parallel_ranges(sequences, kElementsPerPart / size, [&](size_t begin, size_t end) {
    for (size_t sequence = begin; sequence < end; ++sequence) units(sequence, 0, size);
  });
}

template void dropout(size_t, size_t, const std::int32_t*, philox::Key, double, const float*, float*) noexcept;
template void dropout(size_t, size_t, const std::int32_t*, philox::Key, double, const double*, double*) noexcept;

}  // namespace evenkeel
