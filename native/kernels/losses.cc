// Losses with their gradients, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/losses.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/losses-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr LossKernels<T> kLossKernels = {
    .point_loss = point_loss<T>,
    .cross_entropy = cross_entropy<T>,
    .weighted_cross_entropy = weighted_cross_entropy<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(LossKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(LossKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
