#include "layers/cells/masked_cell.h"

#include <algorithm>
#include <utility>

namespace evenkeel {
namespace {

// Which words of a call's key are whose.
enum Use : std::uint32_t { kOperand = 0, kHidden = 1, kCell = 2, kUses = 4 };

constexpr size_t kMostLanes = 64;

}  // namespace

template <typename T>
bool MaskedCell<T>::wants(const CellOptions& options) noexcept {
  return options.recurrent_dropout > 0 || options.zoneout_hidden > 0 || options.zoneout_cell > 0;
}

template <typename T>
CellTraits MaskedCell<T>::traits_of(const CellOptions& options, const Widths& widths, CellTraits inner) noexcept {
  if (options.zoneout_hidden > 0 || options.zoneout_cell > 0) {
    inner.tape += widths.s;
    inner.direct = true;
    inner.direct_output = true;
  }
  return inner;
}

template <typename T>
MaskedCell<T>::MaskedCell(const CellOptions& options, std::unique_ptr<Cell<T>> inner, const CellCall<T>& call, const MaskCall* masks)
    : Cell<T>(inner->widths, traits_of(options, inner->widths, inner->traits)),
      inner_(std::move(inner)),
      masks_(masks),
      hidden_(options.zoneout_hidden),
      cell_(options.zoneout_cell),
      place_(options.place),
      drops_(masks != nullptr && options.recurrent_dropout > 0),
      operand_mask_(drops_ ? (call.sequences + kMostLanes) * this->widths.p : 0),
      scratch_(zones_out() ? 2 * (call.sequences + kMostLanes) * this->widths.s : 0),
      scratch_length_((call.sequences + kMostLanes) * this->widths.s) {
  if (drops_) draw_operand_mask(options.recurrent_dropout, call);
}

// In lanes [P, lanes] of each group of sequences.
template <typename T>
void MaskedCell<T>::draw_operand_mask(double probability, const CellCall<T>& call) {
  const T kept = static_cast<T>(1 / (1 - probability));
  const size_t p = this->widths.p, n = call.sequences;
  const AlignedBuffer<T> in_rows(call.in_lanes ? n * p : 0);
  T* rows = call.in_lanes ? in_rows.get() : operand_mask_.get();
  for (size_t r = 0; r < n; ++r) {
    kernels<T>().apply_mask(stream(kOperand, 0), mask_threshold(probability), T{0}, kept, static_cast<std::uint32_t>(masks_->rows[r]), 1, 0,
                            p, nullptr, 0, rows + r * p, p);
  }
  if (!call.in_lanes) return;
  const size_t lanes = kernels<T>().lane_count();
  for (size_t first = 0; first < n; first += lanes) {
    kernels<T>().to_lanes(std::min(lanes, n - first), p, rows + first * p, p, operand_mask_.get() + first * p);
  }
}

template <typename T>
MaskStream MaskedCell<T>::stream(std::uint32_t use, size_t step) const noexcept {
  return {.key = masks_->key, .stream = place_ * kUses + use, .step = static_cast<std::uint32_t>(step)};
}

// --- dropout on the operand ---------------------------------------------------------------------------------------------

template <typename T>
void MaskedCell<T>::operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept {
  if (!inner_->transforms_operand()) return multiply_operand(step, {previous, this->widths.s}, {operand, this->widths.p}, false);
  inner_->operand(step, previous, operand);
  if (drops_) multiply_operand(step, {operand, this->widths.p}, {operand, this->widths.p}, false);
}

template <typename T>
void MaskedCell<T>::multiply_operand(const StepRows<T>& step, StepArray<const T> from, StepArray<T> to, bool add) const noexcept {
  const size_t p = this->widths.p;
  const T* mask = operand_mask_.get() + step.first * p;
  const bool in_lanes = step.lanes > 0;
  kernels<T>().multiply_mask(in_lanes ? 1 : step.rows, in_lanes ? p * step.lanes : p, mask, from, to, add);
}

template <typename T>
void MaskedCell<T>::operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept {
  const size_t p = this->widths.p;
  if (!inner_->transforms_operand()) return multiply_operand(step, {doperand, p}, {dprevious, this->widths.s}, true);
  if (drops_) multiply_operand(step, {doperand, p}, {doperand, p}, false);
  inner_->operand_backward(step, previous, doperand, dprevious);
}

template <typename T>
void MaskedCell<T>::operand_tangents(const StepRows<T>& step, const T* previous, size_t count, T* tangents) const noexcept {
  inner_->operand_tangents(step, previous, count, tangents);
}

// --- zoneout of the state -----------------------------------------------------------------------------------------------

template <typename T>
T* MaskedCell<T>::candidate(const StepRows<T>& step) const noexcept {
  T* kept = step.kept(inner_->traits.tape, this->widths.s);
  return kept == nullptr ? scratch_.get() + step.first * this->widths.s : kept;
}

template <typename T>
template <typename Body>
void MaskedCell<T>::for_each_part(const StepRows<T>& step, Body&& body) const noexcept {
  const Widths& w = this->widths;
  // A step of some units has as many columns of each part.
  const bool whole = step.units == w.h;
  body(Part{whole ? 0 : step.unit, whole ? w.p : step.units, kHidden, hidden_});
  if (w.s > w.p) body(Part{w.p + step.unit, step.units, kCell, cell_});
}

// A part of an array of states [rows, S].
template <typename T>
template <typename U>
StepArray<U> MaskedCell<T>::columns(const StepRows<T>& step, const Part& part, U* states) const noexcept {
  const size_t lanes = std::max<size_t>(1, step.lanes);
  return {states + part.first * lanes, this->widths.s * lanes};
}

template <typename T>
MaskedUnits MaskedCell<T>::masked(const StepRows<T>& step, const Part& part) const noexcept {
  const size_t base = part.use == kCell ? this->widths.p : 0;
  return {masks_->rows + step.first, step.rows, part.first - base, part.units, step.lanes};
}

// Columns of rows, in lanes of one row of width · lanes.
template <typename T, typename Body>
void for_each_row(const StepRows<T>& step, size_t s, size_t first, size_t units, Body&& body) noexcept {
  if (step.lanes > 0) return body(units * step.lanes, first * step.lanes);
  for (size_t r = 0; r < step.rows; ++r) body(units, r * s + first);
}

template <typename T>
void MaskedCell<T>::forward(const ForwardStep<T>& step) const noexcept {
  if (!zones_out()) return inner_->forward(step);
  const Widths& w = this->widths;
  ForwardStep<T> inner = step;
  inner.state = candidate(step);
  inner.output = nullptr;
  inner_->forward(inner);
  for_each_part(step, [&](const Part& part) {
    if (masks_ != nullptr && part.probability > 0) {
      const StepArray<T> output =
          part.use == kHidden && step.output != nullptr ? StepArray<T>{step.output + part.first, step.ld_output} : StepArray<T>();
      return kernels<T>().hold_forward(stream(part.use, masks_->first_step + step.step), mask_threshold(part.probability),
                                       masked(step, part),
                                       {.before = columns(step, part, step.previous),
                                        .candidate = columns(step, part, const_cast<const T*>(inner.state)),
                                        .state = columns(step, part, step.state),
                                        .output = output});
    }
    const T held = static_cast<T>(part.probability);
    for_each_row(step, w.s, part.first, part.units, [&](size_t count, size_t at) {
      if (part.probability == 0) {
        std::copy_n(inner.state + at, count, step.state + at);
      } else {
        for (size_t k = at; k < at + count; ++k) step.state[k] = held * step.previous[k] + (1 - held) * inner.state[k];
      }
    });
  });
  if (step.output == nullptr || (masks_ != nullptr && hidden_ > 0)) return;
  const bool whole = step.units == w.h;
  const size_t first = whole ? 0 : step.unit;
  kernels<T>().copy_rows(step.rows, whole ? w.p : step.units, step.state + first, w.s, step.output + first, step.ld_output);
}

template <typename T>
void MaskedCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  if (!zones_out()) return inner_->backward(step);
  const Widths& w = this->widths;
  T* held = scratch_.get() + step.first * w.s;
  for_each_part(step, [&](const Part& part) {
    if (part.probability > 0) {
      return kernels<T>().hold_backward(stream(part.use, masks_->first_step + step.step), mask_threshold(part.probability),
                                        masked(step, part), {columns(step, part, step.dstate), columns(step, part, held)});
    }
    for_each_row(step, w.s, part.first, part.units, [&](size_t count, size_t at) { std::fill_n(held + at, count, T{0}); });
  });
  BackwardStep<T> inner = step;
  inner.state = candidate(step);
  inner_->backward(inner);
  if (step.units == w.h && inner_->traits.direct) {  // all columns of all rows follow each other
    return kernels<T>().add((step.lanes > 0 ? step.lanes : step.rows) * w.s, held, step.dstate);
  }
  for_each_part(step, [&](const Part& part) {
    for_each_row(step, w.s, part.first, part.units, [&](size_t count, size_t at) {
      if (inner_->traits.direct) {
        kernels<T>().add(count, held + at, step.dstate + at);
      } else {
        std::copy_n(held + at, count, step.dstate + at);
      }
    });
  });
}

template <typename T>
void MaskedCell<T>::tangents(const TangentStep<T>& step) const noexcept {
  if (!zones_out()) return inner_->tangents(step);
  const Widths& w = this->widths;
  T* before = scratch_.get() + scratch_length_ + step.first * w.s;
  for (size_t k = 0; k < step.count; ++k) {
    TangentStep<T> inner = step;
    inner.count = 1;
    inner.state = candidate(step);
    inner.gates_h += k * w.gates();
    inner.tangents += k * w.s;
    std::copy_n(inner.tangents, w.s, before);
    inner_->tangents(inner);
    for (size_t u = 0; u < w.s; ++u) {
      const T held = static_cast<T>(u < w.p ? hidden_ : cell_);
      inner.tangents[u] = held * before[u] + (1 - held) * inner.tangents[u];
    }
  }
}

template class MaskedCell<float>;
template class MaskedCell<double>;

}  // namespace evenkeel
