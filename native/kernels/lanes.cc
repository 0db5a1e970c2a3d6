// The kernels of the scan over time with sequences in the lanes of vectors, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lanes.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr LanesKernels<T> kLanesKernels = {
    .lane_count = lane_count<T>,
    .to_lanes = to_lanes<T>,
    .from_lanes = from_lanes<T>,
    .multiply_in_lanes = multiply_in_lanes<T>,
    .sum_products_in_lanes = sum_products_in_lanes<T>,
    .elman_forward_in_lanes = elman_forward_in_lanes<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(LanesKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(LanesKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
