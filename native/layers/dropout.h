#pragma once
#include <cstddef>
#include <cstdint>

#include "core/philox.h"

namespace evenkeel {

// output = input ⊙ mask, each element of the mask 0 with the given probability, else 1 / (1 − probability). The gradient is the same
// function of the gradient, since the mask depends on key, sequence and element alone.
// input, output: [sequences, size], may be one array   counts: [sequences], how many elements of each count, the others of the output are
// 0; null for all
template <typename T>
void dropout(size_t sequences, size_t size, const std::int32_t* counts, philox::Key key, double probability, const T* input,
             T* output) noexcept;

}  // namespace evenkeel
