// The kernels of normalisations, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/normalization.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/normalization-inl.h"
#include "kernels/normalization_backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr NormKernels<T> kNormKernels = {
    .layer_norm_forward = norm_forward<true, T>,
    .layer_norm_backward = norm_backward<true, T>,
    .rms_norm_forward = norm_forward<false, T>,
    .rms_norm_backward = norm_backward<false, T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(NormKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(NormKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
