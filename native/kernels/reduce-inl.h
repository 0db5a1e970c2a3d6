#if defined(EVENKEEL_KERNELS_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_REDUCE_INL_H_
#undef EVENKEEL_KERNELS_REDUCE_INL_H_
#else
#define EVENKEEL_KERNELS_REDUCE_INL_H_
#endif

#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <typename T>
void fill_rows(size_t rows, size_t size, const T* values, T* output) {
  for (size_t r = 0; r < rows; ++r, output += size) {
    for (size_t i = 0; i < size; ++i) output[i] = values[i];
  }
}

template <typename T>
void copy_rows(size_t rows, size_t size, const T* from, size_t ld_from, T* to, size_t ld_to) {
  const hn::ScalableTag<T> d;
  for (size_t r = 0; r < rows; ++r, from += ld_from, to += ld_to) {
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR { memory.store(d, memory.load(d, from + i), to + i); });
  }
}

template <typename T>
void add(size_t count, const T* source, T* target) {
  const hn::ScalableTag<T> d;
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    memory.store(d, hn::Add(memory.load(d, target + i), memory.load(d, source + i)), target + i);
  });
}

template <typename T>
void add_rows(size_t rows, size_t size, const T* input, T* sums) {
  for (size_t r = 0; r < rows; ++r) add(size, input + r * size, sums);
}

template <typename T>
void scale(size_t count, T factor, T* values) {
  const hn::ScalableTag<T> d;
  const auto by = hn::Set(d, factor);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR { memory.store(d, hn::Mul(memory.load(d, values + i), by), values + i); });
}

// By selection, not by vector minimum and maximum: those turn NaN into the limit.
template <typename T>
void clamp(size_t count, T limit, T* values) {
  const hn::ScalableTag<T> d;
  const auto high = hn::Set(d, limit);
  const auto low = hn::Set(d, -limit);
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    const auto x = memory.load(d, values + i);
    memory.store(d, hn::IfThenElse(hn::Gt(x, high), high, hn::IfThenElse(hn::Lt(x, low), low, x)), values + i);
  });
}

template <typename T>
double sum_abs(size_t count, const T* values) {
  return sum_in_double(count, [&](auto d, size_t i, auto memory) HWY_ATTR { return hn::Abs(load_double(d, memory, values + i)); });
}

template <typename T>
double sum_squares(size_t count, const T* values) {
  return sum_in_double(count, [&](auto d, size_t i, auto memory) HWY_ATTR {
    const auto x = load_double(d, memory, values + i);
    return hn::Mul(x, x);
  });
}

template <typename T>
double max_abs(size_t count, const T* values) {
  const hn::ScalableTag<double> d;
  auto largest = hn::Zero(d);
  for_each_vector(d, count,
                  [&](size_t i, auto memory) HWY_ATTR { largest = larger(d, hn::Abs(load_double(d, memory, values + i)), largest); });
  HWY_ALIGN double lanes[hn::MaxLanes(d)];
  hn::Store(largest, d, lanes);
  double result = 0;
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (std::isnan(lanes[i]) || lanes[i] > result) result = lanes[i];
    if (std::isnan(result)) break;
  }
  return result;
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
