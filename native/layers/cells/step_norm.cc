#include "layers/cells/step_norm.h"

#include "kernels/kernels.h"

namespace evenkeel {

StepNormPlan::StepNormPlan(Norm of_kind, double with_eps, std::initializer_list<size_t> sizes, TapePlan& tape)
    : kind(of_kind), eps(with_eps) {
  for (const size_t size : sizes) add(size, tape);
}

StepNormPlan::StepNormPlan(Norm of_kind, double with_eps, size_t count, size_t size, TapePlan& tape) : kind(of_kind), eps(with_eps) {
  for (size_t group = 0; group < count; ++group) add(size, tape);
}

void StepNormPlan::add(size_t size, TapePlan& tape) {
  const size_t inputs = tape.take(size);
  groups.push_back({columns, size, {inputs, tape.take(statistics_per_row(kind))}});
  columns += size;
}

template <typename T>
StepNorm<T>::StepNorm(const StepNormPlan& plan, size_t sequences, bool keeps, const CellParameter<T>& weight, const CellParameter<T>& bias,
                      bool sums_output)
    : sequences_(sequences), scratch_(2 * sequences * plan.columns) {
  for (const StepNormPlan::Group& group : plan.groups) {
    const NormShape shape = {.kind = plan.kind, .sequences = sequences, .size = group.size, .eps = plan.eps, .keeps = keeps};
    const CellParameter<T> gamma = weight.from(group.column), beta = bias.from(group.column);
    groups_.emplace_back(group, shape, NormArrays<T>{gamma.value, beta.value, gamma.gradient, beta.gradient},
                         sums_output || beta.gradient != nullptr);
  }
}

template <typename T>
T* StepNorm<T>::scratch(const StepRows<T>& step, const Group& group, size_t which) const noexcept {
  return scratch_.get() + (2 * group.column + which * group.size) * sequences_ + step.first * group.size;
}

// The group's columns of the input, where the site keeps them if it does.
template <typename T>
T* StepNorm<T>::pack(const StepRows<T>& step, const Group& group, StepArray<const T> input) const noexcept {
  T* saved = group.site.saved(step);
  T* packed = saved == nullptr ? scratch(step, group, 0) : saved;
  const T* columns = input.data + group.column;
  if (columns != packed) kernels<T>().copy_rows(step.rows, group.size, columns, input.ld, packed, group.size);
  return packed;
}

template <typename T>
void StepNorm<T>::forward(const StepRows<T>& step, StepArray<const T> input, StepArray<T> output) const noexcept {
  for (const Group& group : groups_) {
    const T* packed = pack(step, group, input);
    if (output.ld == group.size) {
      group.site.forward(step, packed, output.data);
      continue;
    }
    T* normalized = scratch(step, group, 1);
    group.site.forward(step, packed, normalized);
    kernels<T>().copy_rows(step.rows, group.size, normalized, group.size, output.data + group.column, output.ld);
  }
}

template <typename T>
void StepNorm<T>::forward_onto(const StepRows<T>& step, StepArray<const T> input, StepArray<T> output) const noexcept {
  for (const Group& group : groups_) {
    const T* packed = pack(step, group, input);
    if (output.ld == group.size) {
      group.site.forward_onto(step, packed, output.data);
      continue;
    }
    T* sums = scratch(step, group, 1);
    kernels<T>().copy_rows(step.rows, group.size, output.data + group.column, output.ld, sums, group.size);
    group.site.forward_onto(step, packed, sums);
    kernels<T>().copy_rows(step.rows, group.size, sums, group.size, output.data + group.column, output.ld);
  }
}

template <typename T>
void StepNorm<T>::backward(const StepRows<T>& step, StepArray<const T> doutput, T* dinput) const noexcept {
  const size_t ld = doutput.ld;
  for (const Group& group : groups_) {
    const T* columns = doutput.data + group.column;
    const T* input = group.site.saved(step);
    if (ld == group.size) {
      group.site.backward(step, input, columns, dinput + group.column);
      continue;
    }
    T* packed = scratch(step, group, 0);
    kernels<T>().copy_rows(step.rows, group.size, columns, ld, packed, group.size);
    group.site.backward(step, input, packed, packed);
    kernels<T>().copy_rows(step.rows, group.size, packed, group.size, dinput + group.column, ld);
  }
}

template <typename T>
void StepNorm<T>::tangent(const StepRows<T>& step, T* tangent, size_t columns) const noexcept {
  for (const Group& group : groups_) {
    if (group.column < columns) group.site.tangents(step, group.site.saved(step), 1, tangent + group.column);
  }
}

template <typename T>
void StepNorm<T>::accumulate() const noexcept {
  for (const Group& group : groups_) group.site.accumulate(nullptr);
}

template <typename T>
void StepNorm<T>::add_output_gradient(T* gradient) const noexcept {
  if (gradient == nullptr) return;
  for (const Group& group : groups_) kernels<T>().add(group.size, group.site.output_gradient(), gradient + group.column);
}

template class StepNorm<float>;
template class StepNorm<double>;

}  // namespace evenkeel
