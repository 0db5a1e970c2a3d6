#pragma once
#include "kernels/kernels.h"

// How a group of kernels gets from the source that is compiled once per SIMD target into the table that kernels() hands out. Include it
// after hwy/highway.h.

namespace evenkeel {

// The group as compiled for the SIMD target in use; each source of kernels defines its own by the macros below.
template <template <typename> class Group, typename T>
const Group<T>& kernel_group() noexcept;

}  // namespace evenkeel

// In a target's namespace, after the template constant k<Group>.
#define EVENKEEL_KERNEL_GROUP_OF_TARGET(Group)                    \
  const Group<float>& Group##_float() { return k##Group<float>; } \
  const Group<double>& Group##_double() { return k##Group<double>; }

// Once, in namespace evenkeel.
#define EVENKEEL_KERNEL_GROUP(Group)                            \
  HWY_EXPORT(Group##_float);                                    \
  HWY_EXPORT(Group##_double);                                   \
  template <>                                                   \
  const Group<float>& kernel_group<Group, float>() noexcept {   \
    return HWY_DYNAMIC_DISPATCH(Group##_float)();               \
  }                                                             \
  template <>                                                   \
  const Group<double>& kernel_group<Group, double>() noexcept { \
    return HWY_DYNAMIC_DISPATCH(Group##_double)();              \
  }
