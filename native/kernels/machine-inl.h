#if defined(EVENKEEL_KERNELS_MACHINE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_MACHINE_INL_H_
#undef EVENKEEL_KERNELS_MACHINE_INL_H_
#else
#define EVENKEEL_KERNELS_MACHINE_INL_H_
#endif

#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Ten chains hide the latency of a multiply-add (4 cycles on 2 units need 8) and fit the registers of every target.
template <typename T>
double fma_chains(size_t rounds, T* sink) {
  const hn::ScalableTag<T> d;
  const auto a = hn::Set(d, static_cast<T>(0.999));
  const auto b = hn::Set(d, static_cast<T>(1e-3));
  // Different starts, lest the compiler see that two chains are one.
  const auto start = [d](int chain) HWY_ATTR { return hn::Set(d, static_cast<T>(chain)); };
  auto x0 = start(0), x1 = start(1), x2 = start(2), x3 = start(3), x4 = start(4);
  auto x5 = start(5), x6 = start(6), x7 = start(7), x8 = start(8), x9 = start(9);
  for (size_t i = 0; i < rounds; ++i) {
    x0 = hn::MulAdd(x0, a, b);
    x1 = hn::MulAdd(x1, a, b);
    x2 = hn::MulAdd(x2, a, b);
    x3 = hn::MulAdd(x3, a, b);
    x4 = hn::MulAdd(x4, a, b);
    x5 = hn::MulAdd(x5, a, b);
    x6 = hn::MulAdd(x6, a, b);
    x7 = hn::MulAdd(x7, a, b);
    x8 = hn::MulAdd(x8, a, b);
    x9 = hn::MulAdd(x9, a, b);
  }
  const auto low = hn::Add(hn::Add(hn::Add(x0, x1), hn::Add(x2, x3)), x4);
  const auto high = hn::Add(hn::Add(hn::Add(x5, x6), hn::Add(x7, x8)), x9);
  *sink = lane_sum(d, hn::Add(low, high));
  return 20.0 * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(d));
}

template <typename T>
T sum(size_t count, const T* values) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = hn::Add(s0, hn::LoadU(d, values + i));
    s1 = hn::Add(s1, hn::LoadU(d, values + i + lanes));
    s2 = hn::Add(s2, hn::LoadU(d, values + i + 2 * lanes));
    s3 = hn::Add(s3, hn::LoadU(d, values + i + 3 * lanes));
  }
  T total = lane_sum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  for (; i < count; ++i) total += values[i];
  return total;
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
