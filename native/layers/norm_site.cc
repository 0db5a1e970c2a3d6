#include "layers/norm_site.h"

#include <algorithm>

#include "kernels/kernels.h"

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

template <typename T>
NormSite<T>::NormSite(const NormShape& shape, const NormArrays<T>& arrays)
    : shape_(shape), arrays_(arrays), scratch_(arrays.statistics == nullptr ? statistics_per_row(shape.kind) * shape.sequences : 0) {
  if (arrays.dweight != nullptr) sums_.emplace(shape.sequences, shape.size);
}

template <typename T>
typename NormSite<T>::Statistics NormSite<T>::statistics(const StepRows& step) const noexcept {
  const size_t per_row = statistics_per_row(shape_.kind);
  T* of_step = arrays_.statistics == nullptr ? scratch_.get() : arrays_.statistics + (step.position - step.first) * per_row;
  T* first = of_step + step.first;
  return {first, first + shape_.sequences, first + (per_row - 1) * shape_.sequences};
}

template <typename T>
void NormSite<T>::forward(const StepRows& step, const T* input, T* output) const noexcept {
  const auto [kind, sequences, size, eps] = shape_;
  const auto [mean, residual, rstd] = statistics(step);
  if (arrays_.inputs != nullptr) std::copy_n(input, step.rows * size, arrays_.inputs + step.position * size);
  if (kind == NormKind::kLayer) {
    kernels<T>().layer_norm_forward(step.rows, size, static_cast<T>(eps), input, arrays_.weight, arrays_.bias, output, mean, residual,
                                    rstd);
  } else {
    kernels<T>().rms_norm_forward(step.rows, size, static_cast<T>(eps), input, arrays_.weight, output, rstd);
  }
}

template <typename T>
void NormSite<T>::backward(const StepRows& step, const T* input, const T* doutput, T* dinput) const noexcept {
  const size_t size = shape_.size;
  const auto [mean, residual, rstd] = statistics(step);
  for (size_t r = 0; r < step.rows; ++r, input += size, doutput += size, dinput += size) {
    T* dweight = sums_->dweight.row(step.first + r);
    T* sum = sums_->doutput.row(step.first + r);
    if (shape_.kind == NormKind::kLayer) {
      kernels<T>().layer_norm_backward(1, size, input, arrays_.weight, mean + r, residual + r, rstd + r, doutput, dinput, dweight, sum);
    } else {
      kernels<T>().add(size, doutput, sum);
      kernels<T>().rms_norm_backward(1, size, input, arrays_.weight, rstd + r, doutput, dinput, dweight);
    }
  }
}

template <typename T>
void NormSite<T>::accumulate() const noexcept {
  sums_->dweight.add_up();
  sums_->doutput.add_up();
  kernels<T>().add(shape_.size, sums_->dweight.total(), arrays_.dweight);
  if (arrays_.dbias != nullptr) kernels<T>().add(shape_.size, sums_->doutput.total(), arrays_.dbias);
}

template <typename T>
NormSites<T>::NormSites(Placement placement, const NormShape& shape, const std::array<NormArrays<T>, kMaxNormSites>& arrays) {
  const std::span<const NormPoint> points = norm_points(placement);
  for (size_t i = 0; i < points.size(); ++i) sites_[static_cast<size_t>(points[i])].emplace(shape, arrays[i]);
}

template <typename T>
void NormSites<T>::accumulate() const noexcept {
  for (const auto& site : sites_) {
    if (site) site->accumulate();
  }
}

template class NormSite<float>;
template class NormSite<double>;
template class NormSites<float>;
template class NormSites<double>;

}  // namespace evenkeel
