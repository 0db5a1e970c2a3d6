#pragma once
#include <cstddef>

namespace evenkeel::qr {

// How many elements of scratch memory orthonormalize needs.
size_t scratch_size(size_t count, size_t size) noexcept;

// The QR decomposition of the matrix whose columns are the vectors, single-threaded, by Householder reflections: the vectors
// become orthonormal, each in the span of itself and those before it, and lengths[i] = |R(i, i)| is what was left of the i-th beyond that
// span. Zero where nothing was but rounding errors.
// vectors: [count, size], count at most size   lengths: [count]   scratch: [scratch_size(count, size)]
void orthonormalize(size_t count, size_t size, double* vectors, double* lengths, double* scratch) noexcept;

}  // namespace evenkeel::qr
