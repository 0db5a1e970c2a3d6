#include "layers/lyapunov.h"

#include <algorithm>
#include <cmath>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "kernels/qr.h"
#include "layers/recurrent/strategy.h"
#include "layers/recurrent/tape.h"

namespace evenkeel {
namespace {

// What one sequence needs beside its tangents.
struct TangentScratch {
  double* states;   // state_{t−1} and state_t, in turns [2, S]
  double* operand;  // tangents of operand_t [count, P]
  double* gates_h;  // tangents of operand_t W_hhᵀ [count, G·H]
  double* qr;

  static size_t size(const Widths& w, size_t count) noexcept { return 2 * w.s + count * (w.p + w.gates()) + qr::scratch_size(count, w.s); }
  static TangentScratch of(double* memory, const Widths& w, size_t count) noexcept {
    double* operand = memory + 2 * w.s;
    double* gates_h = operand + count * w.p;
    return {memory, operand, gates_h, gates_h + count * w.gates()};
  }
};

// tangents ← J_t tangents, for the one sequence of `step`
void advance(const Cell<double>& cell, const double* weight_hh, const TangentStep<double>& step, double* operand) noexcept {
  const Widths& w = cell.widths;
  Rows<double> transformed = {step.tangents, w.s};
  if (cell.transforms_operand()) {
    kernels<double>().copy_rows(step.count, w.p, step.tangents, w.s, operand, w.p);
    cell.operand_tangents(step, step.previous, step.count, operand);
    transformed = {operand, w.p};
  }
  gemm::multiply_transposed(step.count, w.gates(), w.p, transformed.data, transformed.stride, weight_hh, w.p, 0.0, step.gates_h, w.gates());
  cell.tangents(step);
}

}  // namespace

void evolve_tangents(ForwardPass<double> pass, size_t count, double* tangents, double* log_growths) {
  const RecurrentShape& shape = pass.shape;
  const Cell<double>& cell = pass.cell;
  // A cell's tangents read its tape in rows.
  CellTraits traits = cell.traits;
  if (traits.tape + shape.hidden_state() > 0) traits.across_units = true;
  const AlignedBuffer<double> tape_memory(Tape<double>(shape, traits, 0, nullptr).length(shape.t));
  pass.tape = tape_memory.get();
  scan_strategy<double>(shape, traits).forward(pass);

  const Tape<double> tape(shape, traits, 0, pass.tape);
  const size_t scratch_size = TangentScratch::size(shape, count);
  const AlignedBuffer<double> scratch(shape.n * scratch_size);
  parallel_for(shape.n, [&](size_t n) {
    const TangentScratch own = TangentScratch::of(scratch.get() + n * scratch_size, shape, count);
    double* vectors = tangents + n * count * shape.s;
    if (pass.initial_state == nullptr) {
      std::fill_n(own.states, shape.s, 0.0);
    } else {
      std::copy_n(pass.initial_state + n * shape.s, shape.s, own.states);
    }
    for (size_t t = 0; t < shape.t; ++t) {
      const StepRows<double> rows = tape.rows(t, n, 1);
      const double* previous = own.states + t % 2 * shape.s;
      double* state = own.states + (t + 1) % 2 * shape.s;
      std::copy_n(pass.output + (n * shape.t + t) * shape.p, shape.p, state);
      if (shape.hidden_state() > 0) std::copy_n(tape.hidden_state(rows), shape.hidden_state(), state + shape.p);
      advance(cell, pass.weight_hh, {rows, count, previous, state, own.gates_h, vectors}, own.operand);
      double* growths = log_growths + (n * shape.t + t) * count;
      qr::orthonormalize(count, shape.s, vectors, growths, own.qr);
      for (size_t k = 0; k < count; ++k) growths[k] = std::log(growths[k]);
    }
  });
}

}  // namespace evenkeel
