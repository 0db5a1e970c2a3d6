#include "layers/loss.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "kernels/kernels.h"
#include "layers/partial_sums.h"

namespace evenkeel {
namespace {

// An array that may be null from an element on.
template <typename T>
T* from(T* array, size_t begin) {
  return array == nullptr ? nullptr : array + begin;
}

}  // namespace

template <typename T>
double point_loss(PointLoss kind, size_t count, double divisor, double delta, const T* output, const T* target, size_t width,
                  const T* positive, T* values, T* grad) {
  // The weights of a row once and again: each part of the elements finds its own there, wherever in a row it begins.
  const AlignedBuffer<T> repeated(positive == nullptr ? 0 : std::min(count, kElementsPerPart) + width);
  if (positive != nullptr) {
    for (size_t i = 0; i < std::min(count, kElementsPerPart) + width; ++i) repeated.get()[i] = positive[i % width];
  }
  const T factor = static_cast<T>(1 / divisor);
  return sum_of_parts(count, kElementsPerPart,
                      [&](size_t begin, size_t end) {
                        return kernels<T>().point_loss(kind, end - begin, factor, delta, output + begin, target + begin,
                                                       positive == nullptr ? nullptr : repeated.get() + begin % width, from(values, begin),
                                                       grad + begin);
                      }) /
         divisor;
}

template <typename T>
double cross_entropy(size_t rows, size_t classes, const T* logits, const std::int32_t* labels, T* grad) {
  const double n = static_cast<double>(rows);
  const T factor = static_cast<T>(1 / n);
  const size_t grain = std::max<size_t>(1, kElementsPerPart / classes);
  return sum_of_parts(rows, grain,
                      [&](size_t begin, size_t end) {
                        return kernels<T>().cross_entropy(end - begin, classes, factor, logits + begin * classes, labels + begin,
                                                          grad + begin * classes);
                      }) /
         n;
}

template <typename T>
double weighted_cross_entropy(size_t rows, size_t classes, double divisor, const ClassTargets<T>& targets, const T* logits,
                              const std::int32_t* labels, T* values, T* grad) {
  const T factor = static_cast<T>(1 / divisor);
  const size_t grain = std::max<size_t>(1, kElementsPerPart / classes);
  return sum_of_parts(rows, grain,
                      [&](size_t begin, size_t end) {
                        return kernels<T>().weighted_cross_entropy(end - begin, classes, factor, targets, logits + begin * classes,
                                                                   labels + begin, from(values, begin), grad + begin * classes);
                      }) /
         divisor;
}

#define EVENKEEL_INSTANTIATE(T)                                                                                \
  template double point_loss(PointLoss, size_t, double, double, const T*, const T*, size_t, const T*, T*, T*); \
  template double cross_entropy(size_t, size_t, const T*, const std::int32_t*, T*);                            \
  template double weighted_cross_entropy(size_t, size_t, double, const ClassTargets<T>&, const T*, const std::int32_t*, T*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
