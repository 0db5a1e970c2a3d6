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
  }
  // Whose operand is not the state itself takes no lanes and no blocks of units.
  if (options.recurrent_dropout > 0) inner.across_units = true;
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
      operand_mask_(drops_ ? call.sequences * this->widths.p : 0),
      scratch_(zones_out() ? 2 * (call.sequences + kMostLanes) * this->widths.s : 0),
      scratch_length_((call.sequences + kMostLanes) * this->widths.s) {
  if (!drops_) return;
  const T kept = static_cast<T>(1 / (1 - options.recurrent_dropout));
  const size_t p = this->widths.p;
  for (size_t n = 0; n < call.sequences; ++n) {
    kernels<T>().apply_mask(stream(kOperand, 0), mask_threshold(options.recurrent_dropout), T{0}, kept, row_of(n), 1, 0, p, nullptr, 0,
                            operand_mask_.get() + n * p, p);
  }
}

template <typename T>
std::uint32_t MaskedCell<T>::row_of(size_t sequence) const noexcept {
  return static_cast<std::uint32_t>(masks_->rows[sequence]);
}

template <typename T>
MaskStream MaskedCell<T>::stream(std::uint32_t use, size_t step) const noexcept {
  return {.key = masks_->key, .stream = place_ * kUses + use, .step = static_cast<std::uint32_t>(step)};
}

// --- dropout on the operand ---------------------------------------------------------------------------------------------

template <typename T>
void MaskedCell<T>::operand(const StepRows<T>& step, const T* previous, T* operand) const noexcept {
  const auto [p, s] = std::pair{this->widths.p, this->widths.s};
  if (inner_->transforms_operand()) {
    inner_->operand(step, previous, operand);
  } else {
    kernels<T>().copy_rows(step.rows, p, previous, s, operand, p);
  }
  if (!drops_) return;
  const T* mask = operand_mask_.get() + step.first * p;
  for (size_t k = 0; k < step.rows * p; ++k) operand[k] *= mask[k];
}

template <typename T>
void MaskedCell<T>::operand_backward(const StepRows<T>& step, const T* previous, T* doperand, T* dprevious) const noexcept {
  const auto [p, s] = std::pair{this->widths.p, this->widths.s};
  if (drops_) {
    const T* mask = operand_mask_.get() + step.first * p;
    for (size_t k = 0; k < step.rows * p; ++k) doperand[k] *= mask[k];
  }
  if (inner_->transforms_operand()) return inner_->operand_backward(step, previous, doperand, dprevious);
  for (size_t r = 0; r < step.rows; ++r) kernels<T>().add(p, doperand + r * p, dprevious + r * s);
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

template <typename T>
template <typename Body>
void MaskedCell<T>::for_each_mask(const StepRows<T>& step, const Part& part, Body&& body) const noexcept {
  const auto& k = kernels<T>();
  const Widths& w = this->widths;
  const MaskStream of_step = stream(part.use, masks_->first_step + step.step);
  const std::uint64_t threshold = mask_threshold(part.probability);
  constexpr size_t kDrawn = 256;
  alignas(64) T drawn[kDrawn];
  // The first unit of each draw is a multiple of 4.
  const size_t base = part.use == kCell ? w.p : 0;
  const size_t begin = part.first - base, end = begin + part.units;
  T* lanes_mask = scratch_.get() + scratch_length_ + step.first * w.s;
  for (size_t from = begin / 4 * 4; from < end; from += kDrawn) {
    const size_t units = std::min(kDrawn, end - from);
    for (size_t r = 0; r < step.rows; ++r) {
      k.apply_mask(of_step, threshold, T{1}, T{0}, row_of(step.first + r), 1, from, units, nullptr, 0, drawn, units);
      if (step.lanes > 0) {
        for (size_t u = 0; u < units; ++u) lanes_mask[(from - begin + u) * step.lanes + r] = drawn[u];
        continue;
      }
      const size_t skipped = from < begin ? begin - from : 0;
      body(units - skipped, drawn + skipped, r * w.s + base + from + skipped);
    }
  }
  if (step.lanes == 0) return;
  // Lanes beyond the rows hold the state of zeros that they have.
  for (size_t u = 0; u < part.units; ++u) std::fill(lanes_mask + u * step.lanes + step.rows, lanes_mask + (u + 1) * step.lanes, T{0});
  body(part.units * step.lanes, lanes_mask, part.first * step.lanes);
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
  const auto blend = [&](size_t count, const T* mask, size_t at) {
    const T* __restrict from = step.previous + at, * __restrict to = inner.state + at;
    T* __restrict state = step.state + at;
    for (size_t k = 0; k < count; ++k) {
      const T before = from[k], after = to[k];
      state[k] = mask[k] != 0 ? before : after;
    }
  };
  for_each_part(step, [&](const Part& part) {
    if (masks_ != nullptr && part.probability > 0) return for_each_mask(step, part, blend);
    const T held = static_cast<T>(part.probability);
    for_each_row(step, w.s, part.first, part.units, [&](size_t count, size_t at) {
      if (part.probability == 0) {
        std::copy_n(inner.state + at, count, step.state + at);
      } else {
        for (size_t k = at; k < at + count; ++k) step.state[k] = held * step.previous[k] + (1 - held) * inner.state[k];
      }
    });
  });
  if (step.output == nullptr) return;
  const bool whole = step.units == w.h;
  const size_t first = whole ? 0 : step.unit;
  kernels<T>().copy_rows(step.rows, whole ? w.p : step.units, step.state + first, w.s, step.output + first, step.ld_output);
}

template <typename T>
void MaskedCell<T>::backward(const BackwardStep<T>& step) const noexcept {
  if (!zones_out()) return inner_->backward(step);
  const Widths& w = this->widths;
  T* held = scratch_.get() + step.first * w.s;
  const auto split = [&](size_t count, const T* mask, size_t at) {
    T* __restrict past = held + at, * __restrict dstate = step.dstate + at;
    for (size_t k = 0; k < count; ++k) {
      const T all = dstate[k];
      past[k] = mask[k] != 0 ? all : T{0};
      dstate[k] = mask[k] != 0 ? T{0} : all;
    }
  };
  for_each_part(step, [&](const Part& part) {
    if (part.probability > 0) return for_each_mask(step, part, split);
    for_each_row(step, w.s, part.first, part.units, [&](size_t count, size_t at) { std::fill_n(held + at, count, T{0}); });
  });
  BackwardStep<T> inner = step;
  inner.state = candidate(step);
  inner_->backward(inner);
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
