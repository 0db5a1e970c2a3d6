#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/group_sums.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// Enough rows that the weights' gradients, which do not fit the caches, are read and written seldom.
size_t chunk_steps(const RecurrentShape& shape) noexcept { return steps_for_rows(shape, 512); }

// body(begin, end, the product with these columns) for columns cut for the threads, so that each reads a part of the weights: in several
// tasks, so that others go on with those of a thread that has lost its processor. Every element is the same sum however they are cut
// (multiply_panels).
template <typename T, typename Body>
void parallel_columns(size_t cols, const PanelOperand<T>& product, Body&& body) noexcept {
  constexpr size_t kTasksPerThread = 4;
  const size_t panel = kernels<T>().panel_columns();
  const size_t panels = std::max<size_t>(1, cols / panel);  // the last one may be wider
  const size_t parts = std::min(panels, kTasksPerThread * static_cast<size_t>(thread_pool::num_threads()));
  parallel_for(parts, [&](size_t part) {
    const size_t begin = panels * part / parts * panel;
    const size_t end = part + 1 == parts ? cols : panels * (part + 1) / parts * panel;
    body(begin, end, PanelOperand<T>{product.a, product.lda, product.panels + begin * product.k, product.k});
  });
}

// c = start + a b
template <typename T>
void multiply_in_columns(size_t rows, size_t cols, const PanelOperand<T>& product, const Rows<T>& start, T* c) noexcept {
  parallel_columns(cols, product, [&](size_t begin, size_t end, const PanelOperand<T>& columns) {
    const T* from = start.data == nullptr ? nullptr : start.data + begin;
    kernels<T>().multiply_panels(rows, end - begin, columns, PackedWeights<T>::none(), from, start.stride, c + begin, cols);
  });
}

template <typename T>
struct Weights {
  PackedWeights<T> ih, hh;
};

// Steps [begin, begin + steps), forward, from their x_t W_ihᵀ and the state before them, with which chunk.states begins.
template <typename T>
void steps_forward(const RecurrentShape& shape, const Cell<T>& cell, const PackedWeights<T>& weight_hh, size_t begin, size_t steps,
                   const Chunk<T>& chunk, T* output) noexcept {
  const size_t n = shape.n, t = shape.t, h = shape.h;
  const size_t width = cell.gates() * h;
  const auto operand = [&](size_t s, size_t first, size_t end) {
    if (!cell.transforms_operand()) return;
    const size_t row = s * n + first;
    cell.operand({.first = first, .rows = end - first, .position = begin * n + row}, chunk.states.get() + row * h,
                 chunk.operands.get() + row * h);
  };
  parallel_rows(n, [&](size_t first, size_t end) { operand(0, first, end); });
  for (size_t s = 0; s < steps; ++s) {
    T* recurrent = chunk.recurrent + s * n * width;
    const Rows<T> start = {cell.products_apart() ? nullptr : recurrent, width};
    multiply_in_columns(n, width, weight_hh.times(chunk.recurrent_operands + s * n * h, h), start, recurrent);
    parallel_rows(n, [&](size_t first, size_t end) {
      const size_t row = s * n + first;
      T* state = chunk.states.get() + (row + n) * h;
      cell.forward({{.first = first, .rows = end - first, .position = begin * n + row},
                    chunk.projected.get() + row * width,
                    cell.products_apart() ? chunk.recurrent + row * width : nullptr,
                    state - n * h,
                    state,
                    output + (first * t + begin + s) * h,
                    t * h});
      if (s + 1 < steps) operand(s + 1, first, end);
    });
  }
}

// The same for a cell whose step is plain: each thread takes the step in its own columns.
template <typename T>
void plain_steps_forward(const RecurrentShape& shape, const PlainStep<T>& plain, const PackedWeights<T>& weight_hh, size_t begin,
                         size_t steps, const Chunk<T>& chunk, T* output) noexcept {
  const size_t n = shape.n, t = shape.t, h = shape.h;
  for (size_t s = 0; s < steps; ++s) {
    const T* previous = chunk.states.get() + s * n * h;
    parallel_columns(h, weight_hh.times(previous, h), [&](size_t first, size_t end, const PanelOperand<T>& columns) {
      kernels<T>().multiply_panels_elman_forward(n, end - first, columns, PackedWeights<T>::none(),
                                                 chunk.projected.get() + s * n * h + first, h,
                                                 {plain.nonlinearity, plain.bias + first, output + (begin + s) * h + first, t * h},
                                                 chunk.states.get() + (s + 1) * n * h + first, h);
    });
  }
}

// Steps [begin, begin + steps), forward. chunk.states begins with the state before them.
template <typename T>
void chunk_forward(const RecurrentShape& shape, const Cell<T>& cell, const Weights<T>& weights, const T* input, size_t begin, size_t steps,
                   const Chunk<T>& chunk, T* output) noexcept {
  const size_t n = shape.n, i = shape.i;
  parallel_rows(n, [&](size_t first, size_t end) { gather(shape, first, end, begin, steps, i, input, chunk.inputs.get()); });
  multiply_in_columns(steps * n, cell.gates() * shape.h, weights.ih.times(chunk.inputs.get(), i), {nullptr, 0}, chunk.projected.get());
  if (const std::optional<PlainStep<T>> plain = cell.plain_step()) {
    plain_steps_forward(shape, *plain, weights.hh, begin, steps, chunk, output);
  } else {
    steps_forward(shape, cell, weights.hh, begin, steps, chunk, output);
  }
}

// What a backward pass carries from step to step.
template <typename T>
struct Carried {
  T* dstate;    // ∂L/∂h [N, H] after the steps still to do, without what comes from the output at the last of them
  T* doperand;  // [N, H], for a cell that transforms its operand
};

// Steps [begin, begin + steps), backward, as far as they follow each other: all but the products outside the recurrence.
template <typename T>
void steps_backward(const RecurrentShape& shape, const Cell<T>& cell, const PackedWeights<T>& weight_hh, const T* doutput,
                    const StateGradient<T>& state_gradient, size_t begin, size_t steps, const Chunk<T>& chunk,
                    const Carried<T>& carried) noexcept {
  const size_t n = shape.n, h = shape.h;
  const size_t width = cell.gates() * h;
  for (size_t s = steps; s-- > 0;) {
    const size_t step = begin + s;
    const auto rows_of = [&](size_t first, size_t end) {
      return StepRows{.first = first, .rows = end - first, .position = step * n + first, .exponents = state_gradient.exponents(first)};
    };
    const auto products = [&](T* of_chunk, size_t first) { return of_chunk + (s * n + first) * width; };
    const T* previous = chunk.states.get() + s * n * h;
    Rows<T> start{nullptr, 0};  // what the output before gives, of all rows
    parallel_rows(n, [&](size_t first, size_t end) {
      const StepRows where = rows_of(first, end);
      T* dstate = carried.dstate + first * h;
      T* dprojected = products(chunk.projected.get(), first);
      T* drecurrent = products(chunk.recurrent, first);
      const auto from_output = [&](size_t of_step) { return output_gradient(shape, doutput, first, of_step); };
      if (s + 1 == steps) add_rows(where.rows, h, state_gradient.output_share(where, from_output(step), h, {dstate}), dstate);
      state_gradient.complete(where, step, dstate);
      cell.backward({where, previous + first * h, previous + (n + first) * h, dstate, dprojected, drecurrent});
      // Within the chunk the product starts from what the output before gives; across chunks, and calls, it is added later.
      const Rows<T> before = s == 0 ? Rows<T>{nullptr, 0} : from_output(step - 1);
      const Rows<T> share = state_gradient.output_share(where, before, width, {dprojected, cell.products_apart() ? drecurrent : nullptr});
      if (first == 0) start = share;
      if (cell.transforms_operand()) cell.operand(where, previous + first * h, chunk.operands.get() + (s * n + first) * h);
    });
    const PanelOperand<T> product = weight_hh.times(products(chunk.recurrent, 0), width);
    if (cell.transforms_operand()) {
      multiply_in_columns(n, h, product, {nullptr, 0}, carried.doperand);
      parallel_rows(n, [&](size_t first, size_t end) {
        T* dstate = carried.dstate + first * h;
        std::fill_n(dstate, (end - first) * h, T{0});
        cell.operand_backward(rows_of(first, end), previous + first * h, carried.doperand + first * h, dstate);
        if (start.data != nullptr) add_rows(end - first, h, {start.data + first * start.stride, start.stride}, dstate);
      });
    } else {
      multiply_in_columns(n, h, product, start, carried.dstate);
    }
    if (state_gradient.exponents(0) == nullptr) continue;
    const StepRows all = rows_of(0, n);
    state_gradient.unscale(all, width, products(chunk.projected.get(), 0));
    if (cell.products_apart()) state_gradient.unscale(all, width, products(chunk.recurrent, 0));
  }
}

// The same for a cell whose step is plain, where nothing is asked of the state's gradient: each thread takes the step in its own columns.
template <typename T>
void plain_steps_backward(const RecurrentShape& shape, const PlainStep<T>& plain, const PackedWeights<T>& weight_hh, const T* doutput,
                          size_t begin, size_t steps, const Chunk<T>& chunk, T* dstate) noexcept {
  const size_t n = shape.n, h = shape.h;
  const auto row = [&](const AlignedBuffer<T>& array, size_t s) { return array.get() + s * n * h; };
  parallel_rows(n, [&](size_t first, size_t end) {
    add_rows(end - first, h, output_gradient(shape, doutput, first, begin + steps - 1), dstate + first * h);
    kernels<T>().elman_backward(plain.nonlinearity, (end - first) * h, row(chunk.states, steps) + first * h, dstate + first * h,
                                row(chunk.projected, steps - 1) + first * h);
  });
  for (size_t s = steps - 1; s > 0; --s) {
    const Rows<T> before = output_gradient(shape, doutput, 0, begin + s - 1);
    parallel_columns(h, weight_hh.times(row(chunk.projected, s), h), [&](size_t first, size_t end, const PanelOperand<T>& columns) {
      kernels<T>().multiply_panels_elman_backward(n, end - first, columns, before.data == nullptr ? nullptr : before.data + first,
                                                  before.stride, {plain.nonlinearity, row(chunk.states, s) + first, h},
                                                  row(chunk.projected, s - 1) + first, h);
    });
  }
  multiply_in_columns(n, h, weight_hh.times(row(chunk.projected, 0), h), {nullptr, 0}, dstate);
}

template <typename T>
void forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  const size_t n = shape.n, t = shape.t, i = shape.i, h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t most_steps = std::min(t, chunk_steps(shape));
  const Weights<T> weights{PackedWeights<T>::transposed(width, i, inputs.weight_ih),
                           PackedWeights<T>::transposed(width, h, inputs.weight_hh)};
  const Chunk<T> chunk(shape, cell, most_steps);
  copy_initial_state(shape, 0, n, inputs.initial_state, chunk.states.get());
  for (size_t begin = 0; begin < t; begin += most_steps) {
    const size_t steps = std::min(most_steps, t - begin);
    chunk_forward(shape, cell, weights, inputs.input, begin, steps, chunk, output);
    std::copy_n(chunk.states.get() + steps * n * h, n * h, chunk.states.get());
  }
}

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  const size_t n = shape.n, t = shape.t, i = shape.i, h = shape.h;
  const size_t width = cell.gates() * h;
  const size_t most_steps = std::min(t, chunk_steps(shape));
  const Weights<T> weights{PackedWeights<T>::plain_if(gradients.dinput != nullptr, width, i, inputs.weight_ih),
                           PackedWeights<T>::plain(width, h, inputs.weight_hh)};
  const Chunk<T> chunk(shape, cell, most_steps);
  const AlignedBuffer<T> doperand(cell.transforms_operand() ? n * h : 0);
  const std::optional<PlainStep<T>> plain = cell.plain_step();
  const SumsIn place = t == most_steps ? SumsIn::kGradient : SumsIn::kPanels;
  const WeightGradient<T> dweight_ih(place, 1, width, i, gradients.dweight_ih);
  const WeightGradient<T> dweight_hh(place, 1, width, h, gradients.dweight_hh);
  for (size_t end = t; end > 0;) {
    const size_t begin = (end - 1) / most_steps * most_steps;
    const size_t steps = end - begin;
    const size_t rows = steps * n;
    parallel_rows(n, [&](size_t first, size_t last) {
      gather_states(shape, first, last, begin, steps, inputs, output, chunk.states.get());
      gather(shape, first, last, begin, steps, i, inputs.input, chunk.inputs.get());
    });
    if (plain && state_gradient.idle()) {
      plain_steps_backward(shape, *plain, weights.hh, doutput, begin, steps, chunk, gradients.dstate);
    } else {
      steps_backward(shape, cell, weights.hh, doutput, state_gradient, begin, steps, chunk, {gradients.dstate, doperand.get()});
    }
    parallel_rows(width, [&](size_t first, size_t last) {
      dweight_hh.add(0, rows, first, last, chunk.recurrent, chunk.recurrent_operands);
      dweight_ih.add(0, rows, first, last, chunk.projected.get(), chunk.inputs.get());
    });
    cell.accumulate(rows, chunk.projected.get(), chunk.recurrent);
    end = begin;
    if (gradients.dinput == nullptr) continue;
    // x is not needed again: its gradient takes its place.
    multiply_in_columns(rows, i, weights.ih.times(chunk.projected.get(), width), {nullptr, 0}, chunk.inputs.get());
    parallel_rows(n,
                  [&](size_t first, size_t last) { scatter(shape, first, last, begin, steps, i, chunk.inputs.get(), gradients.dinput); });
  }
  dweight_ih.complete();
  dweight_hh.complete();
}

}  // namespace

template <typename T>
ScanStrategy<T> columns_strategy() noexcept {
  return {"columns", chunk_steps, forward<T>, backward<T>};
}

template ScanStrategy<float> columns_strategy() noexcept;
template ScanStrategy<double> columns_strategy() noexcept;

}  // namespace evenkeel
