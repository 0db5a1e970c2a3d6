#include "layers/norm_site.h"

#include <algorithm>
#include <bit>

#include "kernels/kernels.h"
#include "layers/power_of_two.h"

namespace evenkeel {

std::span<const NormPoint> norm_points(Placement placement) noexcept {
  static constexpr std::array kPreactivation = {NormPoint::kPreactivation};
  static constexpr std::array kSplit = {NormPoint::kProjected, NormPoint::kRecurrent};
  static constexpr std::array kOperand = {NormPoint::kOperand};
  static constexpr std::array kState = {NormPoint::kState};
  switch (placement) {
    case Placement::kPreactivation:
      return kPreactivation;
    case Placement::kSplitPreactivation:
      return kSplit;
    case Placement::kRecurrentInput:
      return kOperand;
    case Placement::kHidden:
      return kState;
    default:
      return {};
  }
}

size_t norm_tape(Placement placement, Norm kind, size_t size) noexcept {
  size_t numbers = 0;
  for (const NormPoint point : norm_points(placement)) numbers += (keeps_inputs(point) ? size : 0) + statistics_per_row(kind);
  return numbers;
}

template <typename T>
NormSite<T>::NormSite(const NormShape& shape, const NormArrays<T>& arrays, const NormTape& tape, bool keeps_inputs, bool sums_doutput)
    : shape_(shape),
      arrays_(arrays),
      tape_(tape),
      keeps_inputs_(keeps_inputs),
      scratch_(shape.keeps ? 0 : statistics_per_row(shape.kind) * shape.sequences) {
  if (arrays.dweight != nullptr) sums_.emplace(shape.sequences, shape.size, sums_doutput);
}

template <typename T>
RowStatistics<T> NormSite<T>::statistics(const StepRows<T>& step) const noexcept {
  const size_t last = statistics_per_row(shape_.kind) - 1;
  if (step.tape.data == nullptr) {
    T* first = scratch_.get() + step.first;
    return {first, first + shape_.sequences, first + last * shape_.sequences};
  }
  return {step.kept(tape_.statistics, 1), step.kept(tape_.statistics + 1, 1), step.kept(tape_.statistics + last, 1)};
}

// What the step before kept, which backward needs next: it stands pages apart, so that the hardware prefetcher misses it. Null for nothing.
template <typename T>
const T* NormSite<T>::saved_before(const StepRows<T>& step) const noexcept {
  return keeps_inputs_ && step.step > 0 ? saved(step) - step.tape.stride : nullptr;
}

template <typename T>
void NormSite<T>::forward(const StepRows<T>& step, const T* input, T* output) const noexcept {
  normalize(step, input, arrays_.bias, 0, output);
}

template <typename T>
void NormSite<T>::forward_onto(const StepRows<T>& step, const T* input, T* output) const noexcept {
  normalize(step, input, output, shape_.size, output);
}

template <typename T>
void NormSite<T>::normalize(const StepRows<T>& step, const T* input, const T* bias, size_t ld_bias, T* output) const noexcept {
  if (keeps_inputs_ && step.tape.data != nullptr && input != saved(step)) std::copy_n(input, step.rows * shape_.size, saved(step));
  const auto run = shape_.kind == Norm::kLayer ? kernels<T>().layer_norm_forward : kernels<T>().rms_norm_forward;
  run(step.rows, shape_.size, static_cast<T>(shape_.eps), input, arrays_.weight, bias, ld_bias, output, statistics(step), false);
}

// Where a step's sums begin: a row for each sequence or, where all may go into one, the next of a few, so that a float sum has fewer terms.
template <typename T>
size_t NormSite<T>::row_of_sums(const StepRows<T>& step) const noexcept {
  if (!step.cut_by_shape) return step.first;
  // A divisor of a chunk's steps, as is every smaller power of two: where the first step is does not matter.
  constexpr size_t kMostRows = 8;
  return step.first + step.step % std::min(kMostRows, std::bit_floor(step.rows));
}

template <typename T>
void NormSite<T>::backward(const StepRows<T>& step, const T* input, const T* doutput, T* dinput) const noexcept {
  const auto run = shape_.kind == Norm::kLayer ? kernels<T>().layer_norm_backward : kernels<T>().rms_norm_backward;
  const size_t size = shape_.size;
  const RowStatistics<T> rows = statistics(step);
  T* dweight = sums_->dweight.row(row_of_sums(step));
  T* doutputs = sums_->doutput ? sums_->doutput->row(row_of_sums(step)) : nullptr;
  const size_t ld_sums = step.cut_by_shape ? 0 : size;
  if (step.exponents == nullptr) {
    return run(step.rows, size, input, arrays_.weight, rows, doutput, dinput, dweight, doutputs, ld_sums, false, saved_before(step));
  }
  for (size_t r = 0; r < step.rows; ++r, input += size, doutput += size, dinput += size) {
    const RowStatistics<T> row = {rows.mean + r, rows.residual + r, rows.rstd + r};
    T* row_dweight = dweight + r * ld_sums;
    T* row_doutputs = doutputs == nullptr ? nullptr : doutputs + r * ld_sums;
    if (step.exponent(r) != 0) {
      T* truth = sums_->truth.get() + (step.first + r) * size;
      std::copy_n(doutput, size, truth);
      scale_by_power_of_two(size, step.exponent(r), truth);
      run(1, size, input, arrays_.weight, row, truth, truth, row_dweight, row_doutputs, 0, false, nullptr);
      row_dweight = row_doutputs = nullptr;
    }
    run(1, size, input, arrays_.weight, row, doutput, dinput, row_dweight, row_doutputs, 0, false, nullptr);
  }
}

// The Jacobian of â by a is symmetric: what backward makes of a gradient by â, it makes of a tangent of a. γ comes after it, not before.
template <typename T>
void NormSite<T>::tangents(const StepRows<T>& step, const T* input, size_t count, T* tangents) const noexcept {
  const auto run = shape_.kind == Norm::kLayer ? kernels<T>().layer_norm_backward : kernels<T>().rms_norm_backward;
  const RowStatistics<T> row = statistics(step);
  for (T* tangent = tangents; tangent != tangents + count * shape_.size; tangent += shape_.size) {
    run(1, shape_.size, input, nullptr, row, tangent, tangent, nullptr, nullptr, 0, false, nullptr);
    for (size_t i = 0; i < shape_.size; ++i) tangent[i] *= arrays_.weight[i];
  }
}

template <typename T>
void NormSite<T>::accumulate(const NormSite* twin) const noexcept {
  sums_->dweight.add_up();
  if (sums_->doutput) sums_->doutput->add_up();
  kernels<T>().add(shape_.size, sums_->dweight.total(), arrays_.dweight);
  if (arrays_.dbias != nullptr) kernels<T>().add(shape_.size, (sums_->doutput ? this : twin)->output_gradient(), arrays_.dbias);
}

template <typename T>
NormSites<T>::NormSites(Placement placement, const NormShape& shape, const std::array<NormArrays<T>, kMaxNormSites>& arrays, size_t tape) {
  const std::span<const NormPoint> points = norm_points(placement);
  size_t inputs = tape;
  size_t statistics = tape + norm_tape(placement, shape.kind, shape.size) - points.size() * statistics_per_row(shape.kind);
  for (size_t i = 0; i < points.size(); ++i) {
    // Both products of a split step get the gradient of their sum, which is that of the cell's biases too: the first one's sums are for
    // all.
    const bool sums_doutput = points[i] == NormPoint::kProjected || (points[i] != NormPoint::kRecurrent && arrays[i].dbias != nullptr);
    sites_[static_cast<size_t>(points[i])].emplace(shape, arrays[i], NormTape{inputs, statistics}, keeps_inputs(points[i]), sums_doutput);
    if (keeps_inputs(points[i])) inputs += shape.size;
    statistics += statistics_per_row(shape.kind);
  }
}

template <typename T>
void NormSites<T>::accumulate() const noexcept {
  for (const auto& site : sites_) {
    if (site) site->accumulate(at(NormPoint::kProjected));
  }
}

template class NormSite<float>;
template class NormSite<double>;
template class NormSites<float>;
template class NormSites<double>;

}  // namespace evenkeel
