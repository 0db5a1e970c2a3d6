// Masks by counter, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/masks.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/masks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr MaskKernels<T> kMaskKernels = {
    .random_words = random_words<T>,
    .apply_mask = apply_mask<T>,
    .hold_forward = hold_forward<T>,
    .hold_backward = hold_backward<T>,
    .multiply_mask = multiply_mask<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(MaskKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(MaskKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
