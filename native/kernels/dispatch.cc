// Compiles every kernel once per SIMD target, and picks one target's table for the process.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dispatch.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h: this file is included again for each target.
#include "hwy/highway.h"
#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/machine-inl.h"
#include "kernels/normalization-inl.h"
#include "kernels/optimizer-inl.h"
#include "kernels/outer_product-inl.h"
#include "kernels/panel_product-inl.h"
#include "kernels/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
const Kernels<T>& table() {
  static constexpr Kernels<T> kTable = {
      .elman_forward = elman_forward<T>,
      .elman_backward = elman_backward<T>,
      .panel_columns = panel_columns<T>,
      .pack_panels = pack_panels<T>,
      .multiply_panels = multiply_panels<T>,
      .add_outer_products = add_outer_products<T>,
      .layer_norm_forward = norm_forward<true, T>,
      .layer_norm_backward = norm_backward<true, T>,
      .rms_norm_forward = norm_forward<false, T>,
      .rms_norm_backward = norm_backward<false, T>,
      .fill_rows = fill_rows<T>,
      .copy_rows = copy_rows<T>,
      .add_rows = add_rows<T>,
      .add = add<T>,
      .scale = scale<T>,
      .clamp = clamp<T>,
      .sum_abs = sum_abs<T>,
      .sum_squares = sum_squares<T>,
      .max_abs = max_abs<T>,
      .squared_error = squared_error<T>,
      .cross_entropy = cross_entropy<T>,
      .fma_chains = fma_chains<T>,
      .sum = sum<T>,
      .sgd_step = sgd_step<T>,
      .adam_step = adam_step<T>,
      .rmsprop_step = rmsprop_step<T>,
  };
  return kTable;
}

const Kernels<float>& table_float() { return table<float>(); }
const Kernels<double>& table_double() { return table<double>(); }

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel {
namespace {

HWY_EXPORT(table_float);
HWY_EXPORT(table_double);

// Highway's first dynamic call goes through a stub that detects the CPU and runs on the static target: initialise before choosing.
const bool& initialized() {
  static const bool done = [] {
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }();
  return done;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  static const Kernels<float>& chosen = (initialized(), HWY_DYNAMIC_DISPATCH(table_float)());
  return chosen;
}

template <>
const Kernels<double>& kernels<double>() {
  static const Kernels<double>& chosen = (initialized(), HWY_DYNAMIC_DISPATCH(table_double)());
  return chosen;
}

}  // namespace evenkeel
#endif  // HWY_ONCE
