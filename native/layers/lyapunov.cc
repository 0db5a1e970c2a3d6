#include "layers/lyapunov.h"

#include <algorithm>
#include <cmath>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/qr.h"

namespace evenkeel {
namespace {

// What one sequence needs beside its tangents.
struct TangentScratch {
  double* operand;    // tangents of operand_t [count, H], where it is not h_{t−1} itself
  double* recurrent;  // tangents of operand_t W_hhᵀ [count, gates · H]
  double* qr;
};

// tangents ← J_t tangents, for the one sequence of `step`
void advance(const Cell<double>& cell, size_t h, const double* weight_hh, const double* previous, TangentStep<double> step,
             double* operand) noexcept {
  const double* transformed = step.tangents;
  if (cell.transforms_operand()) {
    std::copy_n(step.tangents, step.count * h, operand);
    cell.operand_tangents(step, previous, step.count, operand);
    transformed = operand;
  }
  const size_t width = cell.gates() * h;
  gemm::multiply_transposed(step.count, width, h, transformed, h, weight_hh, h, 0.0, step.recurrent, width);
  cell.tangents(step);
}

}  // namespace

void evolve_tangents(const RecurrentShape& shape, const Cell<double>& cell, const RecurrentInputs<double>& inputs, const double* states,
                     size_t count, double* tangents, double* log_growths) {
  const size_t n = shape.n, t = shape.t, h = shape.h;
  const size_t operand_size = cell.transforms_operand() ? count * h : 0;
  const size_t recurrent_size = count * cell.gates() * h;
  const size_t per_sequence = operand_size + recurrent_size + qr::scratch_size(count);
  const AlignedBuffer<double> scratch(n * per_sequence);
  const AlignedBuffer<double> zeros(h);
  std::fill_n(zeros.get(), h, 0.0);

  parallel_for(n, [&](size_t sequence) {
    double* operand = scratch.get() + sequence * per_sequence;
    const TangentScratch own = {operand, operand + operand_size, operand + operand_size + recurrent_size};
    double* vectors = tangents + sequence * count * h;
    const double* previous = inputs.initial_state == nullptr ? zeros.get() : inputs.initial_state + sequence * h;
    for (size_t step = 0; step < t; ++step) {
      const double* state = states + (sequence * t + step) * h;
      const StepRows rows = {.first = sequence, .rows = 1, .position = step * n + sequence};
      advance(cell, h, inputs.weight_hh, previous, {rows, count, state, own.recurrent, vectors}, own.operand);
      double* growths = log_growths + (sequence * t + step) * count;
      qr::orthonormalize(count, h, vectors, growths, own.qr);
      for (size_t k = 0; k < count; ++k) growths[k] = std::log(growths[k]);
      previous = state;
    }
  });
}

}  // namespace evenkeel
