// The kernels of the scan over time, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scan.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/activation-inl.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/outer_product-inl.h"
#include "kernels/panel_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr ScanKernels<T> kScanKernels = {
    .elman_forward = elman_forward<T>,
    .elman_backward = elman_backward<T>,
    .panel_columns = panel_columns<T>,
    .pack_panels = pack_panels<T>,
    .unpack_panels = unpack_panels<T>,
    .multiply_panels = multiply_panels<T>,
    .multiply_panels_elman_forward = multiply_panels_elman_forward<T>,
    .multiply_panels_elman_backward = multiply_panels_elman_backward<T>,
    .add_outer_products = add_outer_products<T>,
    .add_outer_products_in_panels = add_outer_products_in_panels<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(ScanKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(ScanKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
