#if defined(EVENKEEL_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_ACTIVATION_INL_H_
#undef EVENKEEL_KERNELS_ACTIVATION_INL_H_
#else
#define EVENKEEL_KERNELS_ACTIVATION_INL_H_
#endif

#include "kernels/kernels.h"
#include "kernels/tanh-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// h = tanh(a); dφ/da = 1 − h²
struct Tanh {
  template <class D>
  static HWY_INLINE hn::Vec<D> apply(D d, hn::Vec<D> a) {
    return tanh(d, a);
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
void elman_forward_rows(size_t rows, size_t size, const T* preactivation, const T* bias, T* state, T* output, size_t ld_output) {
  const hn::ScalableTag<T> d;
  for (size_t row = 0; row < rows; ++row, preactivation += size, state += size) {
    // The same place twice costs less than a decision at each vector.
    T* second = output == nullptr ? state : output + row * ld_output;
    for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
      const auto h = Phi::apply(d, hn::Add(memory.load(d, preactivation + i), memory.load(d, bias + i)));
      memory.store(d, h, state + i);
      memory.store(d, h, second + i);
    });
  }
}

template <class Phi, typename T>
void elman_backward_elements(size_t count, const T* state, const T* dstate, T* dpreactivation) {
  const hn::ScalableTag<T> d;
  for_each_vector(d, count, [&](size_t i, auto memory) HWY_ATTR {
    memory.store(d, Phi::times_derivative(d, memory.load(d, dstate + i), memory.load(d, state + i)), dpreactivation + i);
  });
}

template <typename T>
void elman_forward(Nonlinearity nonlinearity, size_t rows, size_t size, const T* preactivation, const T* bias, T* state, T* output,
                   size_t ld_output) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_forward_rows<Tanh, T> : elman_forward_rows<Relu, T>;
  run(rows, size, preactivation, bias, state, output, ld_output);
}

template <typename T>
void elman_backward(Nonlinearity nonlinearity, size_t count, const T* state, const T* dstate, T* dpreactivation) {
  const auto run = nonlinearity == Nonlinearity::kTanh ? elman_backward_elements<Tanh, T> : elman_backward_elements<Relu, T>;
  run(count, state, dstate, dpreactivation);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
