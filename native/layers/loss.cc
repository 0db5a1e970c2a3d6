#include "layers/loss.h"

#include "kernels/kernels.h"
#include "layers/partial_sums.h"

namespace evenkeel {

template <typename T>
double mean_squared_error(size_t count, const T* output, const T* target, T* grad) {
  const double n = static_cast<double>(count);
  const T factor = static_cast<T>(2 / n);
  return sum_of_parts(count, kElementsPerPart,
                      [&](size_t begin, size_t end) {
                        return kernels<T>().squared_error(end - begin, factor, output + begin, target + begin, grad + begin);
                      }) /
         n;
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

#define EVENKEEL_INSTANTIATE(T)                                       \
  template double mean_squared_error(size_t, const T*, const T*, T*); \
  template double cross_entropy(size_t, size_t, const T*, const std::int32_t*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
