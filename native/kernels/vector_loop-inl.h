// Per-target include guard, as every -inl.h of Highway has it.
#if defined(EVENKEEL_KERNELS_VECTOR_LOOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_VECTOR_LOOP_INL_H_
#undef EVENKEEL_KERNELS_VECTOR_LOOP_INL_H_
#else
#define EVENKEEL_KERNELS_VECTOR_LOOP_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_HAVE_SCALABLE || HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_SCALAR
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void store_first(D d, hn::Vec<D> vector, T* to, size_t count) {
  hn::BlendedStore(vector, hn::FirstN(d, count), d, to);
}
#else
// Stores the first `count` lanes in powers of two. AVX2 has a masked store, but on some processors it takes a hundred cycles.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void store_first([[maybe_unused]] D d, [[maybe_unused]] hn::Vec<D> vector, [[maybe_unused]] T* to,
                            [[maybe_unused]] size_t count) {
  if constexpr (hn::MaxLanes(D()) > 1) {
    const hn::Half<D> half;
    if (count >= hn::Lanes(half)) {
      hn::StoreU(hn::LowerHalf(half, vector), half, to);
      store_first(half, hn::UpperHalf(half, vector), to + hn::Lanes(half), count - hn::Lanes(half));
    } else {
      store_first(half, hn::LowerHalf(half, vector), to, count);
    }
  }
}
#endif

// How a loop body reaches memory in its whole vectors ...
struct WholeVector {
  template <class D, typename T = hn::TFromD<D>>
  static HWY_INLINE hn::Vec<D> load(D d, const T* from) {
    return hn::LoadU(d, from);
  }
  template <class D, typename T = hn::TFromD<D>>
  static HWY_INLINE void store(D d, hn::Vec<D> vector, T* to) {
    hn::StoreU(vector, d, to);
  }
};

// ... and in the `count` elements left at the end: missing lanes load as zero and are not stored.
struct PartOfVector {
  size_t count;

  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE hn::Vec<D> load(D d, const T* from) const {
    // Highway's flag speaks for elements of one and two bytes too, for which AVX2 has no masked load.
#if HWY_MEM_OPS_MIGHT_FAULT && HWY_TARGET != HWY_AVX2
    HWY_ALIGN T lanes[hn::MaxLanes(D())] = {};
    for (size_t i = 0; i < count; ++i) lanes[i] = from[i];
    return hn::Load(d, lanes);
#else
    return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#endif
  }
  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE void store(D d, hn::Vec<D> vector, T* to) const {
    store_first(d, vector, to, count);
  }
};

// Whole vectors that are stored past the caches, where the address is a multiple of the vector's size.
struct StreamedVector : WholeVector {
  template <class D, typename T = hn::TFromD<D>>
  static HWY_INLINE void store(D d, hn::Vec<D> vector, T* to) {
    hn::Stream(vector, d, to);
  }
};

// A part of a vector that is stored past the caches too: where its size and its address are multiples of 16 bytes. Through the caches, its
// line would be read first, and loads after that wait for all stores before it.
struct StreamedPart : PartOfVector {
  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE void store(D d, hn::Vec<D> vector, T* to) const {
    constexpr hn::CappedTag<T, 16 / sizeof(T)> block;
    HWY_ALIGN T lanes[hn::MaxLanes(D())];
    hn::Store(vector, d, lanes);
    for (size_t i = 0; i < count; i += hn::Lanes(block)) hn::Stream(hn::Load(block, lanes + i), block, to + i);
  }
};

// Runs body(i, memory) for i = 0, L, 2L, … below count, L the lanes of d; the last one may be a part of a vector.
template <class D, class Body>
HWY_INLINE void for_each_vector(D d, size_t count, Body&& body) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) body(i, WholeVector());
  if (i < count) body(i, PartOfVector{count - i});
}

// The same with stores past the caches, where every row of an array is as far from the last multiple of a vector's size as `to`.
template <class D, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void for_each_vector_streamed(D d, size_t count, const T* to, Body&& body) {
  const size_t lanes = hn::Lanes(d);
  const size_t beyond = reinterpret_cast<uintptr_t>(to) / sizeof(T) % lanes;
  size_t i = beyond == 0 ? 0 : HWY_MIN(count, lanes - beyond);
  const bool in_blocks = reinterpret_cast<uintptr_t>(to) % 16 == 0 && count * sizeof(T) % 16 == 0;  // as JavaScript's arrays are
  const auto part = [&](size_t begin, size_t end) HWY_ATTR {
    if (begin == end) return;
    if (in_blocks) return body(begin, StreamedPart{end - begin});
    body(begin, PartOfVector{end - begin});
  };
  part(0, i);
  for (; i + lanes <= count; i += lanes) body(i, StreamedVector());
  part(i, count);
}

// A vector with zeros in the lanes that memory lacks.
template <class D>
HWY_INLINE hn::Vec<D> zero_missing(D, WholeVector, hn::Vec<D> vector) {
  return vector;
}
template <class D>
HWY_INLINE hn::Vec<D> zero_missing(D d, PartOfVector part, hn::Vec<D> vector) {
  return hn::IfThenElseZero(hn::FirstN(d, part.count), vector);
}

// The larger one; NaN where either is NaN.
template <class D>
HWY_INLINE hn::Vec<D> larger(D, hn::Vec<D> a, hn::Vec<D> b) {
  return hn::IfThenElse(hn::Le(a, b), b, hn::IfThenElse(hn::Eq(b, b), a, b));
}

template <class D>
HWY_INLINE hn::TFromD<D> lane_sum(D d, hn::Vec<D> vector) {
  return hn::GetLane(hn::SumOfLanes(d, vector));
}

// Σ f(i) over the elements in double, whatever T: f(d, i, memory) gives a vector of double with zeros in missing lanes. Four sums hide the
// latency of additions.
template <class F>
HWY_INLINE double sum_in_double(size_t count, F&& f) {
  const hn::ScalableTag<double> d;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = hn::Add(s0, f(d, i, WholeVector()));
    s1 = hn::Add(s1, f(d, i + lanes, WholeVector()));
    s2 = hn::Add(s2, f(d, i + 2 * lanes, WholeVector()));
    s3 = hn::Add(s3, f(d, i + 3 * lanes, WholeVector()));
  }
  for (; i + lanes <= count; i += lanes) s0 = hn::Add(s0, f(d, i, WholeVector()));
  if (i < count) s1 = hn::Add(s1, f(d, i, PartOfVector{count - i}));
  return lane_sum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

// A vector of T as double.
template <class D>
HWY_INLINE hn::Vec<D> to_double(D, hn::Vec<D> vector) {
  return vector;
}
template <class D>
HWY_INLINE hn::Vec<D> to_double(D d, hn::Vec<hn::Rebind<float, D>> vector) {
  return hn::PromoteTo(d, vector);
}

// Loads Lanes(d) elements of T as double.
template <class D, class Memory, typename T>
HWY_INLINE hn::Vec<D> load_double(D d, Memory memory, const T* from) {
  return to_double(d, memory.load(hn::Rebind<T, D>(), from));
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
