// The pointwise kernels of gated cells, compiled once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gates.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gates-inl.h"
#include "kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
constexpr GateKernels<T> kGateKernels = {
    .lstm_forward = lstm_forward<T>,
    .lstm_output = lstm_output<T>,
    .lstm_backward = lstm_backward<T>,
    .lstm_output_backward = lstm_output_backward<T>,
    .gru_forward = gru_forward<T>,
    .gru_backward = gru_backward<T>,
    .gru_reset = gru_reset<T>,
    .gru_candidate = gru_candidate<T>,
    .gru_candidate_backward = gru_candidate_backward<T>,
    .gru_reset_backward = gru_reset_backward<T>,
};

EVENKEEL_KERNEL_GROUP_OF_TARGET(GateKernels)

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
EVENKEEL_KERNEL_GROUP(GateKernels)
}  // namespace evenkeel
#endif  // HWY_ONCE
