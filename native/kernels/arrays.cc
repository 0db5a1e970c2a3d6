// The kernels that go over arrays: pointwise, sums, optimisers, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/arrays.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/machine-inl.h"
#include "kernels/optimizer-inl.h"
#include "kernels/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr ArrayKernels<T> kArrayKernels = {
    .fill_rows = fill_rows<T>,
    .copy_rows = copy_rows<T>,
    .add_rows = add_rows<T>,
    .add = add<T>,
    .scale = scale<T>,
    .clamp = clamp<T>,
    .sum_abs = sum_abs<T>,
    .sum_squares = sum_squares<T>,
    .max_abs = max_abs<T>,
    .fma_chains = fma_chains<T>,
    .sum = sum<T>,
    .sgd_step = sgd_step<T>,
    .adam_step = adam_step<T>,
    .rmsprop_step = rmsprop_step<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(ArrayKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(ArrayKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
