// Picks one SIMD target's kernels for the process.
#include "kernels/dispatch.h"

#include "hwy/highway.h"

namespace evenkeel {
namespace {

template <typename T>
Kernels<T> choose_kernels() {
  // Highway's first dynamic call goes through a stub that detects the CPU and runs on the static target: initialise before choosing.
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return {kernel_group<ScanKernels, T>(), kernel_group<LanesKernels, T>(), kernel_group<SingleKernels, T>(),
          kernel_group<NormKernels, T>(), kernel_group<GateKernels, T>(),  kernel_group<MaskKernels, T>(),
          kernel_group<LossKernels, T>(), kernel_group<ArrayKernels, T>()};
}

}  // namespace

template <typename T>
const Kernels<T>& kernels() {
  static const Kernels<T> chosen = choose_kernels<T>();
  return chosen;
}

template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

}  // namespace evenkeel
