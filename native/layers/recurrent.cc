#include "layers/recurrent.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/dense.h"

namespace evenkeel {
namespace {

// Sequences that go through time together on one thread. Fixed, because a product of another height may sum in another order.
constexpr size_t kSequencesPerBlock = 16;

// h_t = cell(x_t W_ihᵀ, operand_{t−1} W_hhᵀ) for t = 1 … T, one block of sequences.
// recurrent: [kSequencesPerBlock, gates · H], scratch
template <typename T>
void scan_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, size_t begin, size_t end,
                  const T* projected, const T* operands, T* recurrent, T* state) noexcept {
  const size_t h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - begin;
  for (size_t t = 0; t < shape.t; ++t) {
    const size_t position = begin * shape.t + t;
    const bool from_zero = t == 0 && inputs.initial_state == nullptr;
    if (!from_zero) {
      const T* operand = t == 0 ? inputs.initial_state + begin * h : operands + (position - 1) * h;
      gemm::multiply_transposed(rows, width, h, operand, t == 0 ? h : shape.t * h, inputs.weight_hh, h, T{0}, recurrent, width);
    }
    cell.forward({.rows = rows,
                  .sequence_length = shape.t,
                  .position = position,
                  .projected = projected + position * width,
                  .recurrent = from_zero ? nullptr : recurrent,
                  .state = state + position * h});
  }
}

// ∂L/∂operand_{t−1} = ∂L/∂(operand_{t−1} W_hhᵀ) W_hh for t = T … 1, one block of sequences.
// dcarry: [rows, H], holds ∂L/∂operand_0 at the end
template <typename T>
void scan_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, size_t begin, size_t end,
                   const T* state, const T* dstate, T* dcarry, T* dprojected, T* drecurrent) noexcept {
  const size_t h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t rows = end - begin;
  for (size_t t = shape.t; t-- > 0;) {
    const size_t position = begin * shape.t + t;
    cell.backward({.rows = rows,
                   .sequence_length = shape.t,
                   .position = position,
                   .state = state + position * h,
                   .dstate = dstate + position * h,
                   .dcarry = t + 1 == shape.t ? nullptr : dcarry,
                   .dprojected = dprojected + position * width,
                   .drecurrent = drecurrent + position * width});
    gemm::multiply(rows, h, width, drecurrent + position * width, shape.t * width, inputs.weight_hh, h, T{0}, dcarry, h);
  }
}

// db_ih += Σ dprojected, db_hh += Σ drecurrent; one pass where both are one array.
template <typename T>
void accumulate_bias_gradients(size_t rows, size_t width, const T* dprojected, const T* drecurrent,
                               const RecurrentGradients<T>& gradients) {
  if (dprojected != drecurrent) {
    accumulate_column_sums(rows, width, dprojected, gradients.dbias_ih);
    accumulate_column_sums(rows, width, drecurrent, gradients.dbias_hh);
    return;
  }
  const AlignedBuffer<T> sums(width);
  std::fill_n(sums.get(), width, T{0});
  accumulate_column_sums(rows, width, dprojected, sums.get());
  kernels<T>().add(width, sums.get(), gradients.dbias_ih);
  kernels<T>().add(width, sums.get(), gradients.dbias_hh);
}

// dW_hh += Σ_{n,t} drecurrent_tᵀ operand_{t−1}. In [N, T] order the operand of row r is row r − 1, except at t = 1, where a sequence would
// meet the end of the one before it: those rows are taken out to meet the initial state, and zeroed in the product over all rows.
// drecurrent: destroyed at t = 1
template <typename T>
void accumulate_recurrent_weight_gradient(const RecurrentShape& shape, size_t width, const RecurrentInputs<T>& inputs, const T* operands,
                                          T* drecurrent, T* dweight_hh) {
  if (inputs.initial_state != nullptr) {
    accumulate_weight_gradient(shape.n, shape.h, width, drecurrent, shape.t * width, inputs.initial_state, shape.h, dweight_hh);
  }
  if (shape.t == 1) return;
  for (size_t n = 0; n < shape.n; ++n) std::fill_n(drecurrent + n * shape.t * width, width, T{0});
  accumulate_weight_gradient(shape.n * shape.t - 1, shape.h, width, drecurrent + width, width, operands, shape.h, dweight_hh);
}

}  // namespace

template <typename T>
void recurrent_forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* projected, const T* operands,
                       T* state) {
  const size_t width = cell.gates() * shape.h;
  const AlignedBuffer<T> recurrent((shape.n + kSequencesPerBlock - 1) / kSequencesPerBlock * kSequencesPerBlock * width);
  project(shape.n * shape.t, shape.i, width, inputs.input, inputs.weight_ih, projected);
  parallel_ranges(shape.n, kSequencesPerBlock, [&](size_t begin, size_t end) {
    scan_forward(shape, cell, inputs, begin, end, projected, operands, recurrent.get() + begin * width, state);
  });
}

template <typename T>
void recurrent_backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* operands,
                        const T* state, const T* dstate, T* dprojected, T* drecurrent, const RecurrentGradients<T>& gradients) {
  const size_t rows = shape.n * shape.t;
  const size_t width = cell.gates() * shape.h;
  parallel_ranges(shape.n, kSequencesPerBlock, [&](size_t begin, size_t end) {
    scan_backward(shape, cell, inputs, begin, end, state, dstate, gradients.dinitial_state + begin * shape.h, dprojected, drecurrent);
  });
  project_backward(rows, shape.i, width, dprojected, inputs.weight_ih, gradients.dinput);
  accumulate_weight_gradient(rows, shape.i, width, dprojected, width, inputs.input, shape.i, gradients.dweight_ih);
  accumulate_bias_gradients(rows, width, dprojected, drecurrent, gradients);
  accumulate_recurrent_weight_gradient(shape, width, inputs, operands, drecurrent, gradients.dweight_hh);
}

#define EVENKEEL_INSTANTIATE(T)                                                                                                            \
  template void recurrent_forward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, T*, const T*, T*);                     \
  template void recurrent_backward(const RecurrentShape&, const Cell<T>&, const RecurrentInputs<T>&, const T*, const T*, const T*, T*, T*, \
                                   const RecurrentGradients<T>&);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
