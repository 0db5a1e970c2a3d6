// The kernels for one sequence, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/single.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/single-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr SingleKernels<T> kSingleKernels = {
    .row_lanes = row_lanes<T>,
    .pack_row_matrix = pack_row_matrix<T>,
    .multiply_row = multiply_row<T>,
    .multiply_row_by_each = multiply_row_by_each<T>,
    .multiply_row_by_sum = multiply_row_by_sum<T>,
    .elman_forward_steps = elman_forward_steps<T>,
    .elman_backward_steps = elman_backward_steps<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(SingleKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(SingleKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
