#include "layers/linear.h"

#include "layers/dense.h"

namespace evenkeel {

template <typename T>
void linear_forward(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* bias, T* output) noexcept {
  if (bias == nullptr) {
    project(rows, in, out, input, weight, output);
  } else {
    project_with_bias(rows, in, out, input, weight, bias, output);
  }
}

template <typename T>
void linear_backward(size_t rows, size_t in, size_t out, const T* input, const T* weight, const T* doutput, T* dinput, T* dweight,
                     T* dbias) {
  accumulate_weight_gradient(rows, in, out, doutput, out, input, in, dweight);
  if (dbias != nullptr) accumulate_column_sums(rows, out, doutput, dbias);
  if (dinput != nullptr) project_backward(rows, in, out, doutput, weight, dinput);
}

#define EVENKEEL_INSTANTIATE(T)                                                                    \
  template void linear_forward(size_t, size_t, size_t, const T*, const T*, const T*, T*) noexcept; \
  template void linear_backward(size_t, size_t, size_t, const T*, const T*, const T*, T*, T*, T*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
