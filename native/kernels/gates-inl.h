#if defined(EVENKEEL_KERNELS_GATES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_GATES_INL_H_
#undef EVENKEEL_KERNELS_GATES_INL_H_
#else
#define EVENKEEL_KERNELS_GATES_INL_H_
#endif

#include "kernels/gate_kernels.h"
#include "kernels/tanh-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// --- σ and the derivatives -------------------------------------------------------------------------------------------

// ½ + ½ tanh(x/2): the error is at most 2^−24, which for x far below 0 is more than σ(x) itself. NaN gives NaN.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid_of(D d, hn::Vec<D> x, float) {
  const auto half = hn::Set(d, 0.5F);
  return hn::MulAdd(half, tanh(d, hn::Mul(half, x)), half);
}
// 1/(1 + exp(−x)), at most 2 ulp from the true value; below −700, where the exponential would overflow soon, σ(−700) = 1e−304.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid_of(D d, hn::Vec<D> x, double) {
  const auto one = hn::Set(d, 1.0);
  const auto least = hn::Set(d, -700.0);
  const auto clamped = hn::IfThenElse(hn::Lt(x, least), least, x);
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(clamped))));
}
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  return sigmoid_of(d, x, hn::TFromD<D>{});
}

// dy σ' where s = σ(a):  dy s (1 − s)
template <class D>
HWY_INLINE hn::Vec<D> through_sigmoid(D, hn::Vec<D> dy, hn::Vec<D> s) {
  return hn::Mul(dy, hn::NegMulAdd(s, s, s));
}
// dy tanh' where y = tanh(a):  dy (1 − y²)
template <class D>
HWY_INLINE hn::Vec<D> through_tanh(D d, hn::Vec<D> dy, hn::Vec<D> y) {
  return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(d, 1)));
}

// body(d, row, i, memory) over all elements of a step's arrays
template <typename T, class Body>
HWY_INLINE void for_each_unit(size_t rows, size_t units, Body&& body) {
  const hn::ScalableTag<T> d;
  for (size_t row = 0; row < rows; ++row) {
    for_each_vector(d, units, [&](size_t i, auto memory) HWY_ATTR { body(d, row, i, memory); });
  }
}

// --- LSTM ------------------------------------------------------------------------------------------------------------

// A second place for h_t, or the first once more: a store costs less than a decision at each vector.
template <typename T>
HWY_INLINE StepArray<T> second_place(const StepArray<T>& output, const StepArray<T>& hidden) {
  return output ? output : hidden;
}

template <bool kOutput, typename T>
void lstm_forward_of(size_t rows, size_t units, LstmForward<T> step) {
  const size_t stride = step.gate_stride;
  const StepArray<T> second = second_place(step.output, step.hidden);
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* products = step.products.row(row) + k;
    T* gates = step.gates.row(row) + k;
    const T* bias = step.bias + k;
    const auto i = sigmoid(d, hn::Add(memory.load(d, products), memory.load(d, bias)));
    const auto f = sigmoid(d, hn::Add(memory.load(d, products + stride), memory.load(d, bias + stride)));
    const auto g = tanh(d, hn::Add(memory.load(d, products + 2 * stride), memory.load(d, bias + 2 * stride)));
    const auto o = sigmoid(d, hn::Add(memory.load(d, products + 3 * stride), memory.load(d, bias + 3 * stride)));
    const auto c = hn::MulAdd(i, g, hn::Mul(f, memory.load(d, step.cell_before.row(row) + k)));
    memory.store(d, i, gates);
    memory.store(d, f, gates + stride);
    memory.store(d, g, gates + 2 * stride);
    memory.store(d, o, gates + 3 * stride);
    memory.store(d, c, step.cell.row(row) + k);
    if constexpr (kOutput) {
      const auto h = hn::Mul(o, tanh(d, c));
      memory.store(d, h, step.hidden.row(row) + k);
      memory.store(d, h, second.row(row) + k);
    }
  });
}

template <typename T>
void lstm_forward(size_t rows, size_t units, const LstmForward<T>& step) {
  return step.hidden ? lstm_forward_of<true>(rows, units, step) : lstm_forward_of<false>(rows, units, step);
}

template <typename T>
void lstm_output(size_t rows, size_t units, const LstmOutput<T>& given) {
  const LstmOutput<T> step = given;
  const StepArray<T> second = second_place(step.output, step.hidden);
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const auto h = hn::Mul(memory.load(d, step.gate.row(row) + k), tanh(d, memory.load(d, step.cell.row(row) + k)));
    memory.store(d, h, step.hidden.row(row) + k);
    memory.store(d, h, second.row(row) + k);
  });
}

// do = dh ⊙ tanh(c);  dc += dh ⊙ o ⊙ (1 − tanh²c);  di = dc ⊙ g;  df = dc ⊙ c_{t−1};  dg = dc ⊙ i;  dc_{t−1} = dc ⊙ f
template <bool kOutput, typename T>
void lstm_backward_of(size_t rows, size_t units, LstmBackward<T> step) {
  const size_t stride = step.gate_stride;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* gates = step.gates.row(row) + k;
    T* dgates = step.dgates.row(row) + k;
    T* dcell = step.dcell.row(row) + k;
    auto dc = memory.load(d, dcell);
    if constexpr (kOutput) {
      const auto o = memory.load(d, gates + 3 * stride);
      T* dhidden = step.dhidden.row(row) + k;
      const auto dh = memory.load(d, dhidden);
      memory.store(d, hn::Zero(d), dhidden);
      const auto tanh_c = tanh(d, memory.load(d, step.cell.row(row) + k));
      dc = hn::Add(dc, through_tanh(d, hn::Mul(dh, o), tanh_c));
      memory.store(d, through_sigmoid(d, hn::Mul(dh, tanh_c), o), dgates + 3 * stride);
    }
    const auto i = memory.load(d, gates);
    const auto f = memory.load(d, gates + stride);
    const auto g = memory.load(d, gates + 2 * stride);
    memory.store(d, through_sigmoid(d, hn::Mul(dc, g), i), dgates);
    memory.store(d, through_sigmoid(d, hn::Mul(dc, memory.load(d, step.cell_before.row(row) + k)), f), dgates + stride);
    memory.store(d, through_tanh(d, hn::Mul(dc, i), g), dgates + 2 * stride);
    memory.store(d, hn::Mul(dc, f), dcell);
  });
}

template <typename T>
void lstm_backward(size_t rows, size_t units, const LstmBackward<T>& step) {
  return step.dhidden ? lstm_backward_of<true>(rows, units, step) : lstm_backward_of<false>(rows, units, step);
}

template <typename T>
void lstm_output_backward(size_t rows, size_t units, const LstmOutputBackward<T>& given) {
  const LstmOutputBackward<T> step = given;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const auto o = memory.load(d, step.gate.row(row) + k);
    const auto dh = memory.load(d, step.dhidden.row(row) + k);
    const auto tanh_c = tanh(d, memory.load(d, step.cell.row(row) + k));
    memory.store(d, through_sigmoid(d, hn::Mul(dh, tanh_c), o), step.dgate.row(row) + k);
    memory.store(d, through_tanh(d, hn::Mul(dh, o), tanh_c), step.dcell.row(row) + k);
  });
}

// --- GRU -------------------------------------------------------------------------------------------------------------

// (1 − z) ⊙ n + z ⊙ h
template <class D>
HWY_INLINE hn::Vec<D> updated(D, hn::Vec<D> z, hn::Vec<D> n, hn::Vec<D> before) {
  return hn::MulAdd(z, hn::Sub(before, n), n);
}

template <typename T>
void gru_forward(size_t rows, size_t units, const GruForward<T>& given) {
  const GruForward<T> step = given;
  const size_t stride = step.gate_stride;
  const StepArray<T> second = second_place(step.output, step.hidden);
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* products = step.products.row(row) + k;
    T* gates = step.gates.row(row) + k;
    const T* bias = step.bias + k;
    const auto r = sigmoid(d, hn::Add(memory.load(d, products), memory.load(d, bias)));
    const auto z = sigmoid(d, hn::Add(memory.load(d, products + stride), memory.load(d, bias + stride)));
    const auto of_x = hn::Add(memory.load(d, products + 2 * stride), memory.load(d, bias + 2 * stride));
    const auto of_h = hn::Add(memory.load(d, step.recurrent.row(row) + k), memory.load(d, bias + 3 * stride));
    const auto n = tanh(d, hn::MulAdd(r, of_h, of_x));
    const auto h = updated(d, z, n, memory.load(d, step.before.row(row) + k));
    memory.store(d, r, gates);
    memory.store(d, z, gates + stride);
    memory.store(d, n, gates + 2 * stride);
    memory.store(d, of_h, step.saved_recurrent.row(row) + k);
    memory.store(d, h, step.hidden.row(row) + k);
    memory.store(d, h, second.row(row) + k);
  });
}

// dz = dh ⊙ (h_{t−1} − n);  dn = dh ⊙ (1 − z);  past the products goes dh ⊙ z. Returns ∂L/∂a_n.
template <class D, class Memory, typename T>
HWY_INLINE hn::Vec<D> update_backward(D d, Memory memory, const T* z_gate, hn::Vec<D> n, const T* before, T* dhidden, T* dz_gate) {
  const auto z = memory.load(d, z_gate);
  const auto dh = memory.load(d, dhidden);
  const auto direct = hn::Mul(dh, z);
  memory.store(d, through_sigmoid(d, hn::Mul(dh, hn::Sub(memory.load(d, before), n)), z), dz_gate);
  memory.store(d, direct, dhidden);
  return through_tanh(d, hn::Sub(dh, direct), n);
}

template <typename T>
void gru_backward(size_t rows, size_t units, const GruBackward<T>& given) {
  const GruBackward<T> step = given;
  const size_t stride = step.gate_stride;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* gates = step.gates.row(row) + k;
    T* dgates = step.dgates.row(row) + k;
    const auto r = memory.load(d, gates);
    const auto n = memory.load(d, gates + 2 * stride);
    const auto da = update_backward(d, memory, gates + stride, n, step.before.row(row) + k, step.dhidden.row(row) + k, dgates + stride);
    memory.store(d, through_sigmoid(d, hn::Mul(da, memory.load(d, step.recurrent.row(row) + k)), r), dgates);
    memory.store(d, da, dgates + 2 * stride);
    memory.store(d, hn::Mul(da, r), step.drecurrent.row(row) + k);
  });
}

template <typename T>
void gru_reset(size_t rows, size_t units, const GruReset<T>& given) {
  const GruReset<T> step = given;
  const size_t stride = step.gate_stride;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* products = step.products.row(row) + k;
    T* gates = step.gates.row(row) + k;
    const auto r = sigmoid(d, hn::Add(memory.load(d, products), memory.load(d, step.bias + k)));
    const auto z = sigmoid(d, hn::Add(memory.load(d, products + stride), memory.load(d, step.bias + stride + k)));
    memory.store(d, r, gates);
    memory.store(d, z, gates + stride);
    memory.store(d, hn::Mul(r, memory.load(d, step.operand.row(row) + k)), step.reset.row(row) + k);
  });
}

template <typename T>
void gru_candidate(size_t rows, size_t units, const GruCandidate<T>& given) {
  const GruCandidate<T> step = given;
  const StepArray<T> second = second_place(step.output, step.hidden);
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const auto n = tanh(d, hn::Add(memory.load(d, step.product.row(row) + k), memory.load(d, step.bias + k)));
    const auto h = updated(d, memory.load(d, step.update.row(row) + k), n, memory.load(d, step.before.row(row) + k));
    memory.store(d, n, step.candidate.row(row) + k);
    memory.store(d, h, step.hidden.row(row) + k);
    memory.store(d, h, second.row(row) + k);
  });
}

template <typename T>
void gru_candidate_backward(size_t rows, size_t units, const GruCandidateBackward<T>& given) {
  const GruCandidateBackward<T> step = given;
  const size_t stride = step.gate_stride;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const T* gates = step.gates.row(row) + k;
    T* dgates = step.dgates.row(row) + k;
    const auto n = memory.load(d, gates + 2 * stride);
    const auto da = update_backward(d, memory, gates + stride, n, step.before.row(row) + k, step.dhidden.row(row) + k, dgates + stride);
    memory.store(d, da, dgates + 2 * stride);
  });
}

template <typename T>
void gru_reset_backward(size_t rows, size_t units, const GruResetBackward<T>& given) {
  const GruResetBackward<T> step = given;
  for_each_unit<T>(rows, units, [&](auto d, size_t row, size_t k, auto memory) HWY_ATTR {
    const auto r = memory.load(d, step.gate.row(row) + k);
    const auto dreset = memory.load(d, step.dreset.row(row) + k);
    memory.store(d, through_sigmoid(d, hn::Mul(dreset, memory.load(d, step.operand.row(row) + k)), r), step.dgate.row(row) + k);
    memory.store(d, hn::Mul(dreset, r), step.doperand.row(row) + k);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
