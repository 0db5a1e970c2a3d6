#if defined(EVENKEEL_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_ACTIVATION_INL_H_
#undef EVENKEEL_KERNELS_ACTIVATION_INL_H_
#else
#define EVENKEEL_KERNELS_ACTIVATION_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "kernels/kernels.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// h = tanh(a); dφ/da = 1 − h². Largest error 2.6 ulp in float, 4 in double (Highway's contrib/math).
struct Tanh {
  template <class D>
  static HWY_INLINE hn::Vec<D> apply(D d, hn::Vec<D> a) {
    return hn::Tanh(d, a);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> times_derivative(D d, hn::Vec<D> dh, hn::Vec<D> h) {
    return hn::Mul(dh, hn::NegMulAdd(h, h, hn::Set(d, 1)));
  }
};

// h = max(a, 0); dφ/da = [h > 0]. Written as a selection, so that NaN stays NaN where a vector maximum would make it 0.
struct Relu {
  template <class D>
  static HWY_INLINE hn::Vec<D> apply(D d, hn::Vec<D> a) {
    return hn::IfThenZeroElse(hn::Le(a, hn::Zero(d)), a);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> times_derivative(D d, hn::Vec<D> dh, hn::Vec<D> h) {
    return hn::IfThenZeroElse(hn::Le(h, hn::Zero(d)), dh);
  }
};

template <class Phi, typename T>
void elman_forward_rows(size_t rows, size_t size, size_t stride, const T* projected, const T* recurrent, const T* bias, T* state) {
  const hn::ScalableTag<T> d;
  for (size_t row = 0; row < rows; ++row) {
    const T* row_recurrent = recurrent == nullptr ? nullptr : recurrent + row * size;
    const T* row_projected = projected + row * stride;
    T* row_state = state + row * stride;
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      auto a = hn::Add(memory.load(d, row_projected + i), memory.load(d, bias + i));
      if (row_recurrent != nullptr) a = hn::Add(a, memory.load(d, row_recurrent + i));
      memory.store(d, Phi::apply(d, a), row_state + i);
    });
  }
}

template <class Phi, typename T>
void elman_backward_rows(size_t rows, size_t size, size_t stride, const T* state, const T* dstate, const T* dcarry, T* dpreactivation) {
  const hn::ScalableTag<T> d;
  for (size_t row = 0; row < rows; ++row) {
    const T* row_carry = dcarry == nullptr ? nullptr : dcarry + row * size;
    const size_t at = row * stride;
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      auto dh = memory.load(d, dstate + at + i);
      if (row_carry != nullptr) dh = hn::Add(dh, memory.load(d, row_carry + i));
      memory.store(d, Phi::times_derivative(d, dh, memory.load(d, state + at + i)), dpreactivation + at + i);
    });
  }
}

template <typename T>
void elman_forward(Nonlinearity nonlinearity, size_t rows, size_t size, size_t stride, const T* projected, const T* recurrent,
                   const T* bias, T* state) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_forward_rows<Tanh, T> : elman_forward_rows<Relu, T>;
  run(rows, size, stride, projected, recurrent, bias, state);
}

template <typename T>
void elman_backward(Nonlinearity nonlinearity, size_t rows, size_t size, size_t stride, const T* state, const T* dstate, const T* dcarry,
                    T* dpreactivation) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_backward_rows<Tanh, T> : elman_backward_rows<Relu, T>;
  run(rows, size, stride, state, dstate, dcarry, dpreactivation);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
