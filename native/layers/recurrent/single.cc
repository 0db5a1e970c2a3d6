#include <algorithm>
#include <atomic>
#include <new>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/recurrent/chunk.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/split_weights.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

// A step's columns are cut into blocks for threads where a block's product takes longer than telling the others about it. Below that one
// thread goes through time, and the products that stand outside the recurrence are the other threads' part. By H alone, since the cut
// orders the sums.
size_t block_count(size_t h) noexcept { return h < 96 ? 1 : h < 256 ? 2 : h < 1024 ? 4 : kMostBlocks; }

// What a piece leaves for the weights' gradients should stay in L2, its own and the one before. Short pieces, so that a sequence of a
// thousand steps has several: what stands outside the recurrence waits for the first to end and goes on after the last. Longer ones where
// threads share the steps themselves, and nothing goes on beside them.
size_t chunk_steps(const RecurrentShape& shape) noexcept {
  const size_t elements = block_count(shape.h) == 1 ? size_t{32} << 10 : size_t{128} << 10;
  constexpr size_t kFewest = 128, kMost = 1024;
  return std::clamp(elements / (shape.i + 2 * shape.h), kFewest, kMost);
}

// A chunk of one sequence: what is computed without a look at the rest. The sequences of a chunk follow each other, as do the chunks, so
// that parameters' gradients are summed in the same order when a part of the time is computed again.
template <typename T>
struct Piece {
  size_t n, begin, steps;
  const T* input;     // x_begin … [steps, I]
  const T* previous;  // h before the first step [H]
};

template <typename T>
class Pieces {
 public:
  Pieces(const RecurrentShape& shape, const RecurrentInputs<T>& inputs, const T* output)
      : shape_(shape),
        steps_(std::min(shape.t, chunk_steps(shape))),
        inputs_(inputs),
        output_(output),
        zeros_(inputs.initial_state == nullptr ? shape.h : 0) {
    if (inputs.initial_state == nullptr) std::fill_n(zeros_.get(), shape.h, T{0});
  }

  size_t count() const noexcept { return (shape_.t + steps_ - 1) / steps_ * shape_.n; }
  size_t most_steps() const noexcept { return steps_; }

  Piece<T> operator[](size_t index) const noexcept {
    const size_t n = index % shape_.n;
    const size_t begin = index / shape_.n * steps_;
    const T* initial = inputs_.initial_state == nullptr ? zeros_.get() : inputs_.initial_state + n * shape_.h;
    return {.n = n,
            .begin = begin,
            .steps = std::min(steps_, shape_.t - begin),
            .input = inputs_.input + (n * shape_.t + begin) * shape_.i,
            .previous = begin == 0 ? initial : output_ + (n * shape_.t + begin - 1) * shape_.h};
  }

 private:
  RecurrentShape shape_;
  size_t steps_;
  const RecurrentInputs<T>& inputs_;
  const T* output_;
  AlignedBuffer<T> zeros_;
};

// Two rows that change places at each step: what the step reads, and what the next one will read.
template <typename T>
struct RowPair {
  size_t stride;
  AlignedBuffer<T> rows;

  explicit RowPair(size_t size) : stride(whole_vectors(size)), rows(2 * stride) { std::fill_n(rows.get(), 2 * stride, T{0}); }
  T* at(size_t step) const noexcept { return rows.get() + step % 2 * stride; }

  static size_t whole_vectors(size_t size) noexcept {
    constexpr size_t kLine = 64 / sizeof(T);
    return (size + kLine - 1) / kLine * kLine;
  }
};

// The blocks that one of `size` threads computes.
Range share_of(size_t count, size_t rank, size_t size) noexcept { return {count * rank / size, count * (rank + 1) / size}; }

// ---------------------------------------------------------------------------------------------------------- forward

template <typename T>
struct Forward {
  RecurrentShape shape;
  const Cell<T>& cell;
  std::optional<PlainStep<T>> plain;
  Pieces<T> pieces;
  PackedWeights<T> ih;
  SplitWeights<T> hh;
  AlignedBuffer<T> projected;  // of two pieces, in turns [2, steps, gates · H]; of a plain step with the bias
  AlignedBuffer<T> apart;      // operand W_hhᵀ [gates · H], for a cell that has it apart
  RowPair<T> states;
  AlignedBuffer<T> sums;  // [H]
  T* output;

  Forward(const RecurrentShape& s, const Cell<T>& c, const RecurrentInputs<T>& inputs, T* out)
      : shape(s),
        cell(c),
        plain(c.plain_step()),
        pieces(s, inputs, out),
        ih(PackedWeights<T>::transposed(width(), s.i, inputs.weight_ih)),
        hh(block_count(s.h), s.h, width(), inputs.weight_hh, 1, s.h),
        projected(2 * pieces.most_steps() * width()),
        apart(c.products_apart() ? width() : 0),
        states(s.h),
        sums(s.h),
        output(out) {}

  size_t width() const noexcept { return cell.gates() * shape.h; }
  T* projected_of(size_t piece) const noexcept { return projected.get() + piece % 2 * pieces.most_steps() * width(); }
  T* output_of(const Piece<T>& piece) const noexcept { return output + (piece.n * shape.t + piece.begin) * shape.h; }

  // Rows of time of one task, and how many tasks a piece's input projection has.
  static constexpr size_t kRowsPerTask = 64;
  size_t projection_tasks(size_t piece) const noexcept {
    return piece < pieces.count() ? (pieces[piece].steps + kRowsPerTask - 1) / kRowsPerTask : 0;
  }

  void project(size_t index, size_t task) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t row = task * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, piece.steps - row);
    T* to = projected_of(index) + row * width();
    kernels<T>().multiply_panels(rows, width(), ih.times(piece.input + row * shape.i, shape.i), PackedWeights<T>::none(),
                                 plain ? plain->bias : nullptr, 0, to, width());
  }

  // A plain cell's steps, all columns on one thread, which are one block.
  void scan_alone(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(piece.previous, shape.h, states.at(0));
    kernels<T>().elman_forward_steps(plain->nonlinearity, piece.steps, shape.h, shape.h, hh.matrix(0, 0),
                                     {states.at(0), projected_of(index), states.at(1), output_of(piece)});
  }

  // A plain cell's steps, the columns on several threads.
  void scan_together(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    std::copy_n(piece.previous, shape.h, states.at(0));
    Progress progress;
    size_t first = 0;  // of a round
    run_together(hh.blocks(), [&](size_t rank, size_t size, auto newcomers) {
      const Range own = share_of(hh.blocks(), rank, size);
      for (size_t s = first; s < piece.steps; ++s) {
        if (size == 1 && newcomers()) {
          first = s;
          return false;
        }
        T* state = output_of(piece) + s * shape.h;
        const auto finish = [&](size_t block, const RowMatrix<T>& last, size_t part, const T* start) {
          const Range c = hh.columns(block);
          kernels<T>().elman_forward_steps(plain->nonlinearity, 1, c.size(), 0, last,
                                           {states.at(s) + part, start, states.at(s + 1) + c.begin, state + c.begin});
        };
        hh.multiply(own, states.at(s), projected_of(index) + s * shape.h, sums.get(), &progress, s, finish);
        for (size_t block = own.begin; block < own.end; ++block) progress.publish(block, s + 1);
      }
      return true;
    });
  }

  // Any cell's steps.
  void scan_by_cell(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    const T* previous = piece.previous;
    for (size_t s = 0; s < piece.steps; ++s) {
      const StepRows where{.first = piece.n, .rows = 1, .position = (piece.begin + s) * shape.n + piece.n};
      T* a = projected_of(index) + s * width();
      T* state = output_of(piece) + s * shape.h;
      T* operand = states.at(0);
      if (cell.transforms_operand()) {
        cell.operand(where, previous, operand);
      } else {
        std::copy_n(previous, shape.h, operand);
      }
      T* recurrent = cell.products_apart() ? apart.get() : nullptr;
      hh.multiply(operand, recurrent == nullptr ? a : nullptr, recurrent == nullptr ? a : recurrent);
      cell.forward({where, a, recurrent, previous, state});
      previous = state;
    }
  }

  void scan(size_t piece) const noexcept {
    if (!plain) return scan_by_cell(piece);
    hh.blocks() > 1 ? scan_together(piece) : scan_alone(piece);
  }

  // Whether threads share the columns of each step.
  bool together() const noexcept { return plain && hh.blocks() > 1; }

  // One piece on this thread alone, after those before it.
  void run_alone(size_t piece) const noexcept {
    for (size_t task = 0; task < projection_tasks(piece); ++task) project(piece, task);
    scan(piece);
  }

  // The piece `first` and those after it.
  void run(size_t first = 0) const noexcept {
    parallel_for(projection_tasks(first), [&](size_t task) { project(first, task); });
    for (size_t piece = first; piece < pieces.count(); ++piece) {
      if (together()) scan(piece);
      const size_t scans = together() ? 0 : 1;
      parallel_longest_first(scans + projection_tasks(piece + 1), [&](size_t task) {
        if (task >= scans) return project(piece + 1, task - scans);
        scan(piece);
      });
    }
  }
};

// --------------------------------------------------------------------------------------------------------- backward

template <typename T>
struct Backward {
  RecurrentShape shape;
  const Cell<T>& cell;
  std::optional<PlainStep<T>> plain;  // where nothing is asked about the state's gradient
  const StateGradient<T>& state_gradient;
  const RecurrentGradients<T>& gradients;
  Pieces<T> pieces;
  PackedWeights<T> ih;
  SplitWeights<T> hh;
  AlignedBuffer<T> projected;  // ∂L/∂(x_t W_ihᵀ) of two pieces, in turns [2, steps, gates · H]
  AlignedBuffer<T> apart;      // ∂L/∂(operand_t W_hhᵀ) likewise, for a cell that has it apart
  AlignedBuffer<T> operands;   // [2, steps, H], for a cell that transforms it
  AlignedBuffer<T> doperand;   // [H], for such a cell
  AlignedBuffer<T> turned;     // a piece's share of ∂L/∂W_ih, transposed, where inputs are few
  RowPair<T> das;
  AlignedBuffer<T> sums;  // [H]
  const T* output;
  const T* doutput;
  mutable std::atomic<bool> out_of_memory{false};

  Backward(const RecurrentShape& s, const Cell<T>& c, const RecurrentInputs<T>& inputs, const T* out, const T* dout,
           const StateGradient<T>& gradient, const RecurrentGradients<T>& all)
      : shape(s),
        cell(c),
        plain(gradient.idle() ? c.plain_step() : std::nullopt),
        state_gradient(gradient),
        gradients(all),
        pieces(s, inputs, out),
        ih(PackedWeights<T>::plain_if(all.dinput != nullptr, width(), s.i, inputs.weight_ih)),
        hh(block_count(s.h), width(), s.h, inputs.weight_hh, s.h, 1),
        projected(2 * pieces.most_steps() * width()),
        apart(c.products_apart() ? 2 * pieces.most_steps() * width() : 0),
        operands(c.transforms_operand() ? 2 * pieces.most_steps() * s.h : 0),
        doperand(c.transforms_operand() ? s.h : 0),
        turned(few_inputs() ? s.i * width() : 0),
        das(width()),
        sums(s.h),
        output(out),
        doutput(dout) {}

  size_t width() const noexcept { return cell.gates() * shape.h; }
  T* projected_of(size_t piece) const noexcept { return projected.get() + piece % 2 * pieces.most_steps() * width(); }
  T* recurrent_of(size_t piece) const noexcept {
    return cell.products_apart() ? apart.get() + piece % 2 * pieces.most_steps() * width() : projected_of(piece);
  }
  T* operands_of(size_t piece) const noexcept { return operands.get() + piece % 2 * pieces.most_steps() * shape.h; }
  T* dstate_of(const Piece<T>& piece) const noexcept { return gradients.dstate + piece.n * shape.h; }
  bool few_inputs() const noexcept { return shape.i < kernels<T>().row_lanes(); }
  const T* doutput_at(size_t element) const noexcept { return doutput == nullptr ? nullptr : doutput + element; }
  // Row `step` of the piece in an array [N, T, size].
  size_t row(const Piece<T>& piece, size_t step) const noexcept { return piece.n * shape.t + piece.begin + step; }

  // A plain cell's steps, all columns on one thread, which are one block.
  void scan_alone(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    const size_t last = piece.steps - 1;
    const size_t h = shape.h;
    T* da = projected_of(index);
    const auto steps = kernels<T>().elman_backward_steps;
    const T* dout = doutput_at(row(piece, last) * h);
    const T* state = output + row(piece, last) * h;
    steps(plain->nonlinearity, 1, h, h, hh.nothing(), {das.at(1), dstate_of(piece), dout, state, das.at(0), da + last * h});
    if (last > 0) {
      dout = doutput_at(row(piece, last - 1) * h);
      steps(plain->nonlinearity, last, h, h, hh.matrix(0, 0), {das.at(0), nullptr, dout, state - h, das.at(1), da + (last - 1) * h});
    }
    hh.multiply(das.at(last), nullptr, dstate_of(piece));
  }

  // A plain cell's steps, the columns on several threads.
  void scan_together(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    Progress progress;
    size_t first = 0;  // of a round
    run_together(hh.blocks(), [&](size_t rank, size_t size, auto newcomers) {
      const Range own = share_of(hh.blocks(), rank, size);
      T* dstate = dstate_of(piece);
      for (size_t done = first; done < piece.steps; ++done) {
        if (size == 1 && newcomers()) {
          first = done;
          return false;
        }
        const size_t step = piece.steps - 1 - done;
        const auto finish = [&](size_t block, const RowMatrix<T>& last, size_t part, const T* start) {
          const Range c = hh.columns(block);
          const size_t here = row(piece, step) * shape.h + c.begin;
          kernels<T>().elman_backward_steps(plain->nonlinearity, 1, c.size(), 0, last,
                                            {das.at(done) + part, start, doutput_at(here), output + here, das.at(done + 1) + c.begin,
                                             projected_of(index) + step * shape.h + c.begin});
        };
        if (done == 0) {
          for (size_t block = own.begin; block < own.end; ++block) finish(block, hh.nothing(), 0, dstate + hh.columns(block).begin);
        } else {
          hh.multiply(own, das.at(done), nullptr, sums.get(), &progress, done, finish);
        }
        for (size_t block = own.begin; block < own.end; ++block) progress.publish(block, done + 1);
      }
      hh.multiply(own, das.at(piece.steps), nullptr, dstate, &progress, piece.steps,
                  [&](size_t block, const RowMatrix<T>& last, size_t part, const T* start) {
                    kernels<T>().multiply_row(hh.columns(block).size(), das.at(piece.steps) + part, last, start,
                                              dstate + hh.columns(block).begin);
                  });
      return true;
    });
  }

  // Any cell's steps, whatever is asked about the state's gradient.
  void scan_by_cell(size_t index) const noexcept {
    const Piece<T> piece = pieces[index];
    T* dstate = dstate_of(piece);
    for (size_t s = piece.steps; s-- > 0;) {
      const StepRows where{
          .first = piece.n, .rows = 1, .position = (piece.begin + s) * shape.n + piece.n, .exponents = state_gradient.exponents(piece.n)};
      const T* previous = s == 0 ? piece.previous : output + row(piece, s - 1) * shape.h;
      T* dprojected = projected_of(index) + s * width();
      T* drecurrent = recurrent_of(index) + s * width();
      const Rows<T> dout = {doutput_at(row(piece, s) * shape.h), shape.h};
      add_rows(1, shape.h, state_gradient.output_share(where, dout, shape.h, {dstate}), dstate);
      state_gradient.complete(where, piece.begin + s, dstate);
      cell.backward({where, previous, output + row(piece, s) * shape.h, dstate, dprojected, drecurrent});
      std::copy_n(drecurrent, width(), das.at(0));
      if (cell.transforms_operand()) {
        cell.operand(where, previous, operands_of(index) + s * shape.h);
        hh.multiply(das.at(0), nullptr, doperand.get());
        std::fill_n(dstate, shape.h, T{0});
        cell.operand_backward(where, previous, doperand.get(), dstate);
      } else {
        hh.multiply(das.at(0), nullptr, dstate);
      }
      state_gradient.unscale(where, width(), dprojected);
      if (cell.products_apart()) state_gradient.unscale(where, width(), drecurrent);
    }
  }

  // The products of a piece that stand outside the recurrence, in tasks that threads may do at the same time, the longest first: the
  // weights' gradients in rows, the input's in steps, and the cell's own parameters.
  static constexpr size_t kWeightRowsPerTask = 32, kStepsPerTask = 64;
  size_t weight_tasks() const noexcept { return (width() + kWeightRowsPerTask - 1) / kWeightRowsPerTask; }
  size_t input_tasks(size_t piece) const noexcept {
    return gradients.dinput == nullptr ? 0 : (pieces[piece].steps + kStepsPerTask - 1) / kStepsPerTask;
  }
  size_t product_tasks(size_t piece) const noexcept { return weight_tasks() + input_tasks(piece) + 1; }

  void multiply_outside(size_t index, size_t task) const noexcept {
    const Piece<T> piece = pieces[index];
    if (task < weight_tasks()) return add_weight_gradients(index, piece, task * kWeightRowsPerTask);
    task -= weight_tasks();
    if (task < input_tasks(index)) {
      const size_t first = task * kStepsPerTask;
      return kernels<T>().multiply_panels(std::min(kStepsPerTask, piece.steps - first), shape.i,
                                          ih.times(projected_of(index) + first * width(), width()), PackedWeights<T>::none(), nullptr, 0,
                                          gradients.dinput + row(piece, first) * shape.i, shape.i);
    }
    try {
      cell.accumulate(piece.steps, projected_of(index), recurrent_of(index));
    } catch (const std::bad_alloc&) {
      out_of_memory.store(true, std::memory_order_relaxed);
    }
  }

  // Rows [begin, begin + kWeightRowsPerTask) of both weights' gradients.
  void add_weight_gradients(size_t index, const Piece<T>& piece, size_t begin) const noexcept {
    const size_t rows = std::min(kWeightRowsPerTask, width() - begin);
    const size_t h = shape.h;
    const T* drecurrent = recurrent_of(index) + begin;
    T* dweight_hh = gradients.dweight_hh + begin * h;
    if (cell.transforms_operand()) {
      add_outer_products(piece.steps, rows, h, drecurrent, operands_of(index), dweight_hh);
    } else {
      // The state before the piece may stand elsewhere. Apart in any case, lest the order of the sum depend on where.
      add_outer_products(1, rows, h, drecurrent, piece.previous, dweight_hh);
      add_outer_products(piece.steps - 1, rows, h, drecurrent + width(), output + row(piece, 0) * h, dweight_hh);
    }
    add_input_weight_gradient(piece, rows, projected_of(index) + begin, turned.get() + begin * shape.i,
                              gradients.dweight_ih + begin * shape.i);
  }

  // dweight [rows, I] += dprojectedᵀ x   dprojected: [steps, rows] of rows [width]. Few inputs would leave most of a vector empty: then the
  // transposed gradient is computed.
  void add_input_weight_gradient(const Piece<T>& piece, size_t rows, const T* dprojected, T* transposed, T* dweight) const noexcept {
    if (!few_inputs()) return add_outer_products(piece.steps, rows, shape.i, dprojected, piece.input, dweight);
    std::fill_n(transposed, shape.i * rows, T{0});
    kernels<T>().add_outer_products(piece.steps, shape.i, rows, piece.input, shape.i, dprojected, width(), transposed, rows);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < shape.i; ++i) dweight[row * shape.i + i] += transposed[i * rows + row];
    }
  }

  // c [rows, n] += aᵀ b   a: [steps, rows] of rows [width]   b: [steps, n]. For large matrices OpenBLAS is faster.
  void add_outer_products(size_t steps, size_t rows, size_t n, const T* a, const T* b, T* c) const noexcept {
    constexpr size_t kLarge = size_t{360} * 360;
    if (steps > 1 && width() * n >= kLarge) {
      gemm::transposed_multiply(rows, n, steps, a, width(), b, n, T{1}, c, n);
    } else {
      kernels<T>().add_outer_products(steps, rows, n, a, width(), b, n, c, n);
    }
  }

  void scan(size_t piece) const noexcept {
    if (!plain) return scan_by_cell(piece);
    hh.blocks() > 1 ? scan_together(piece) : scan_alone(piece);
  }

  // beside: null, or a forward pass whose pieces are computed one by one while this goes back through its own.
  void run(const Forward<T>* beside = nullptr) const {
    // One thread goes back through a piece while others multiply what the piece before left, unless a step needs them, or the cell has
    // sums of its own, which accumulate() takes.
    const bool together = plain && hh.blocks() > 1;
    const bool ahead = cell.plain_step() && !together;
    size_t others = 0;  // pieces of the other pass that are done
    for (size_t piece = pieces.count(); piece-- > 0;) {
      const size_t passes = together ? 0 : beside != nullptr && others < beside->pieces.count() ? 2 : 1;
      const size_t left = ahead ? piece + 1 : pieces.count();  // the piece whose products are to be done
      const size_t products = left < pieces.count() ? product_tasks(left) : 0;
      if (together) scan(piece);
      parallel_longest_first(passes + products, [&](size_t task) {
        if (task >= passes) return multiply_outside(left, task - passes);
        task == 0 ? scan(piece) : beside->run_alone(others);
      });
      if (passes == 2) ++others;
      if (!ahead) multiply_all_outside(piece);
    }
    if (ahead) multiply_all_outside(0);
    if (beside != nullptr) beside->run(others);
    if (out_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  }

  void multiply_all_outside(size_t piece) const noexcept {
    // Multiply-adds in less time than telling another thread of them takes.
    constexpr size_t kFew = 8192;
    const auto task_of = [&](size_t task) { multiply_outside(piece, task); };
    if (pieces[piece].steps * width() * (shape.h + 2 * shape.i) > kFew) return parallel_longest_first(product_tasks(piece), task_of);
    for (size_t task = 0; task < product_tasks(piece); ++task) task_of(task);
  }
};

template <typename T>
void forward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, T* output) {
  Forward<T>(shape, cell, inputs, output).run();
}

template <typename T>
void backward(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
              const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients) {
  Backward<T>(shape, cell, inputs, output, doutput, state_gradient, gradients).run();
}

template <typename T>
void backward_beside(const RecurrentShape& shape, const Cell<T>& cell, const RecurrentInputs<T>& inputs, const T* output, const T* doutput,
                     const StateGradient<T>& state_gradient, const RecurrentGradients<T>& gradients, const ForwardPass<T>& beside) {
  const Forward<T> other(beside.shape, *beside.cell, beside.inputs, beside.output);
  Backward<T>(shape, cell, inputs, output, doutput, state_gradient, gradients).run(&other);
}

}  // namespace

template <typename T>
ScanStrategy<T> single_strategy() noexcept {
  return {"single", chunk_steps, forward<T>, backward<T>, backward_beside<T>};
}

template ScanStrategy<float> single_strategy() noexcept;
template ScanStrategy<double> single_strategy() noexcept;

}  // namespace evenkeel
