#include "layers/cells/step_product.h"

#include <algorithm>

#include "kernels/kernels.h"
#include "layers/dense.h"
#include "layers/power_of_two.h"

namespace evenkeel {
namespace {

// Rows of a block of steps whose products are summed at once.
constexpr size_t kBlockRows = 256;

}  // namespace

template <typename T>
StepProduct<T>::StepProduct(const StepProductPlan& plan, const CellParameter<T>& weight)
    : plan_(plan),
      weight_(weight),
      transposed_(PackedWeights<T>::transposed(plan.out, plan.in, weight.value)),
      plain_(PackedWeights<T>::plain_if(weight.gradient != nullptr, plan.out, plan.in, weight.value)) {}

template <typename T>
void StepProduct<T>::forward(const StepRows<T>& step, const T* input, T* output, size_t ld_output) const noexcept {
  kernels<T>().multiply_panels(step.rows, plan_.out, transposed_.times(input, plan_.in), PackedWeights<T>::none(), nullptr, 0, output,
                               ld_output);
}

template <typename T>
void StepProduct<T>::backward(const StepRows<T>& step, const T* doutput, size_t ld_doutput, T* dinput) const noexcept {
  kernels<T>().multiply_panels(step.rows, plan_.in, plain_.times(doutput, ld_doutput), PackedWeights<T>::none(), nullptr, 0, dinput,
                               plan_.in);
  T* truth = step.kept(plan_.doutput, plan_.out);
  kernels<T>().copy_rows(step.rows, plan_.out, doutput, ld_doutput, truth, plan_.out);
  for (size_t r = 0; r < step.rows; ++r) {
    if (step.exponent(r) != 0) scale_by_power_of_two(plan_.out, step.exponent(r), truth + r * plan_.out);
  }
}

template <typename T>
void StepProduct<T>::tangent(const T* input, T* output) const noexcept {
  kernels<T>().multiply_panels(1, plan_.out, transposed_.times(input, plan_.in), PackedWeights<T>::none(), nullptr, 0, output, plan_.out);
}

template <typename T>
void StepProduct<T>::accumulate(const Tape<T>& tape, size_t sequences, size_t steps, size_t chunk_steps) const {
  const size_t most = std::min({steps, chunk_steps, std::max<size_t>(1, kBlockRows / sequences)});
  const AlignedBuffer<T> inputs(most * sequences * plan_.in), doutputs(most * sequences * plan_.out);
  for (size_t chunk = (steps + chunk_steps - 1) / chunk_steps; chunk-- > 0;) {
    const size_t begin = chunk * chunk_steps, end = std::min(steps, begin + chunk_steps);
    for (size_t block = (end - begin + most - 1) / most; block-- > 0;) {
      const size_t first = begin + block * most, count = std::min(most, end - first);
      for (size_t s = 0; s < count; ++s) {
        const StepRows<T> step{.first = 0, .rows = sequences, .step = first + s, .tape = tape.at(first + s, 0)};
        std::copy_n(step.kept(plan_.input, plan_.in), sequences * plan_.in, inputs.get() + s * sequences * plan_.in);
        std::copy_n(step.kept(plan_.doutput, plan_.out), sequences * plan_.out, doutputs.get() + s * sequences * plan_.out);
      }
      accumulate_weight_gradient(count * sequences, plan_.in, plan_.out, doutputs.get(), plan_.out, inputs.get(), plan_.in,
                                 weight_.gradient);
    }
  }
}

template class StepProduct<float>;
template class StepProduct<double>;

}  // namespace evenkeel
