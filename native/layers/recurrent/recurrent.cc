#include "layers/recurrent/recurrent.h"

#include "layers/recurrent/strategy.h"

namespace evenkeel {

size_t recurrent_chunk_steps(const RecurrentShape& shape, bool has_lanes) noexcept {
  return scan_strategy<float>(shape, has_lanes).chunk_steps(shape);
}

template <typename T>
void recurrent_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  scan_strategy<T>(shape, cell.has_lanes()).forward(shape, cell, inputs, output);
}

template <typename T>
void recurrent_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output,
                        const T* doutput, const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients,
                        const ForwardPass<T>* beside) {
  const ScanStrategy<T> strategy = scan_strategy<T>(shape, cell.has_lanes());
  if (beside != nullptr && strategy.backward_beside != nullptr) {
    return strategy.backward_beside(shape, cell, inputs, output, doutput, state_gradient, gradients, *beside);
  }
  strategy.backward(shape, cell, inputs, output, doutput, state_gradient, gradients);
  if (beside != nullptr) strategy.forward(beside->shape, *beside->cell, beside->inputs, beside->output);
}

#define EVENKEEL_INSTANTIATE(T)                                                                                          \
  template void recurrent_forward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, T*);                 \
  template void recurrent_backward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, const T*, const T*, \
                                   const StateGradient<T>&, const RecurrentGradients<T>&, const ForwardPass<T>*);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
