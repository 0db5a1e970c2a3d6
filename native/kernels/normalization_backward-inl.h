#if defined(EVENKEEL_KERNELS_NORMALIZATION_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_NORMALIZATION_BACKWARD_INL_H_
#undef EVENKEEL_KERNELS_NORMALIZATION_BACKWARD_INL_H_
#else
#define EVENKEEL_KERNELS_NORMALIZATION_BACKWARD_INL_H_
#endif

#include <type_traits>

#include "kernels/extreme_rows.h"
#include "kernels/kernels.h"
#include "kernels/normalization-inl.h"
#include "kernels/row_groups-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// The backward pass of a normalisation: g = dy ⊙ γ; da = r (g − mean(g) − â mean(g ⊙ â)), without mean(g) when not centred;
// dγ += Σ dy ⊙ â; dβ += Σ dy. Of each group of rows first the means, which short rows have code of their own for, then the columns.

// As of NormKernels. dinput: not null
template <typename T>
struct NormBackward {
  size_t size;
  const T* input;
  const T* weight;
  const RowStatistics<T>& all;
  const T* doutput;
  T* dinput;
  T* dweight;
  T* dbias;
  size_t ld_sums;
  const T* next;

  T* dweight_of(size_t r) const { return dweight == nullptr ? nullptr : dweight + r * ld_sums; }
  T* dbias_of(size_t r) const { return dbias == nullptr ? nullptr : dbias + r * ld_sums; }
};

// −r mean(g) and −r mean(g ⊙ â) of each row of a group, and a bit for each extreme one
template <typename T>
struct RowTerms {
  HWY_ALIGN T shift[kGroupRows];
  HWY_ALIGN T slope[kGroupRows];
  uint64_t extreme;
};

// The terms of rows [begin, end).
template <bool kCentred, class Rows, typename T>
HWY_INLINE void find_terms(Rows rows, const NormBackward<T>& pass, size_t begin, size_t end, const NormalizedRows<kCentred, T> normalized,
                           RowTerms<T>& terms) {
  const hn::ScalableTag<T> d;
  const size_t size = rows.size;
  const T* weight = pass.weight;
  const T* next = pass.next;
  RowSums<T, Rows::kShort> sums_g, sums_ga;
  for (size_t r = begin; r < end; ++r) {
    const auto row = normalized[r];
    const T* row_doutput = pass.doutput + r * size;
    sum_row(d, rows, r - begin, sums_g, sums_ga, [&](size_t i, auto memory, auto& sum, auto& product) HWY_ATTR {
      auto g = memory.load(d, row_doutput + i);
      if (weight != nullptr) g = hn::Mul(g, memory.load(d, weight + i));
      if constexpr (kCentred) sum = hn::Add(sum, g);
      product = hn::MulAdd(g, zero_missing(d, memory, row.at(d, memory, i)), product);
    });
    if (next != nullptr) {  // a row at a time, since of many lines at once the last ones would wait for the first
      for (size_t i = 0; i < size; i += hn::Lanes(d)) prefetch_line(next + r * size + i);
    }
  }
  sums_g.add_up(end - begin, terms.shift);
  sums_ga.add_up(end - begin, terms.slope);
  const auto minus_count = hn::Set(d, -static_cast<T>(size));
  FlaggedRows<T> constant;
  for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
    const auto rstd = memory.load(d, pass.all.rstd + begin + r);
    const auto shift = hn::Mul(rstd, hn::Div(hn::Load(d, terms.shift + r), minus_count));
    const auto slope = hn::Mul(rstd, hn::Div(hn::Load(d, terms.slope + r), minus_count));
    hn::Store(shift, d, terms.shift + r);
    hn::Store(slope, d, terms.slope + r);
    if constexpr (kCentred) constant.set(r, memory, hn::And(hn::Eq(slope, hn::Zero(d)), hn::Ne(shift, hn::Zero(d))));
  });
  terms.extreme = normalized.scaled;
  if (kCentred && constant.any()) {
    const size_t first = begin * size;
    terms.extreme |= constant_rows(end - begin, size, pass.input + first, weight, pass.doutput + first, constant.flags());
  }
}

// dγ += Σ dy ⊙ â; dβ += Σ dy, over rows [first, last).
template <bool kCentred, typename T>
void add_to_weights(const NormalizedRows<kCentred, T> normalized, size_t first, size_t last, size_t size, const T* doutput, T* dweight,
                    T* dbias) {
  const hn::ScalableTag<T> d;
  for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
    auto sum_dweight = memory.load(d, dweight + i);
    auto sum_dbias = dbias == nullptr ? hn::Zero(d) : memory.load(d, dbias + i);
    for (size_t r = first; r < last; ++r) {
      const auto dy = memory.load(d, doutput + r * size + i);
      sum_dweight = hn::MulAdd(dy, normalized[r].at(d, memory, i), sum_dweight);
      sum_dbias = hn::Add(dy, sum_dbias);
    }
    memory.store(d, sum_dweight, dweight + i);
    if (dbias != nullptr) memory.store(d, sum_dbias, dbias + i);
  });
}

// What follows from the terms of a group of rows that begins with `begin`.
template <bool kCentred, typename T>
class GroupColumns {
  static constexpr hn::ScalableTag<T> d{};

 public:
  GroupColumns(const NormBackward<T>& pass, size_t step, const NormalizedRows<kCentred, T>& normalized, const RowTerms<T>& terms)
      : pass_(pass), step_(step), normalized_(normalized), terms_(terms) {}

  // Rows [first, last), which add to the same sums: those are in registers meanwhile.
  void side_by_side(size_t first, size_t last, T* dweight, T* dbias) const {
    for_each_vector(d, pass_.size, [&](size_t i, auto memory) HWY_ATTR { column(first, last, i, memory, dweight, dbias); });
  }

  // Rows one after the other, which takes less long than side by side where they go past the caches; sums apart, since what is stored to be
  // loaded again soon would wait for all that is on its way past the caches.
  void streamed(size_t first, size_t last) const {
    T* const no_sums = nullptr;
    const size_t size = pass_.size;
    for (size_t r = first; r < last; ++r) {
      const auto row = [&](size_t i, auto memory) HWY_ATTR { column(r, r + 1, i, memory, no_sums, no_sums); };
      if (size % hn::Lanes(d) == 0) {
        for_each_vector_streamed(d, size, pass_.dinput + r * size, row);
      } else {
        for_each_vector(d, size, row);
      }
    }
    if (pass_.dweight != nullptr) add_to_weights(normalized_, first, last, size, pass_.doutput, pass_.dweight, pass_.dbias);
  }

 private:
  template <class Memory>
  HWY_INLINE void column(size_t first, size_t last, size_t i, Memory memory, T* dweight, T* dbias) const {
    const NormalizedRows<kCentred, T> normalized = normalized_;
    const size_t size = normalized.size;
    const T* const doutput = pass_.doutput;
    T* const dinput = pass_.dinput;
    const T* const shift = terms_.shift;
    const T* const slope = terms_.slope;
    const auto gamma = pass_.weight == nullptr ? hn::Set(d, 1) : memory.load(d, pass_.weight + i);
    auto sum_dweight = dweight == nullptr ? hn::Zero(d) : memory.load(d, dweight + i);
    auto sum_dbias = dbias == nullptr ? hn::Zero(d) : memory.load(d, dbias + i);
    for (size_t r = first; r < last; ++r) {
      const auto row = normalized[r];
      const auto a = row.at(d, memory, i);
      const auto dy = memory.load(d, doutput + r * size + i);
      // Where neither array is in the caches, the next group's rows come while this one's are computed on: else each group waits for its
      // own.
      if constexpr (std::is_same_v<Memory, StreamedVector> || std::is_same_v<Memory, StreamedPart>) {
        hwy::Prefetch(normalized.input + (r + step_) * size + i);
        hwy::Prefetch(doutput + (r + step_) * size + i);
      }
      const size_t in_group = r - normalized.begin;
      const auto g = hn::MulAdd(hn::Mul(dy, gamma), hn::Set(d, row.rstd), hn::Set(d, shift[in_group]));
      memory.store(d, hn::MulAdd(a, hn::Set(d, slope[in_group]), g), dinput + r * size + i);
      sum_dweight = hn::MulAdd(dy, a, sum_dweight);
      sum_dbias = hn::Add(dy, sum_dbias);
    }
    if (dweight != nullptr) memory.store(d, sum_dweight, dweight + i);
    if (dbias != nullptr) memory.store(d, sum_dbias, dbias + i);
  }

  const NormBackward<T>& pass_;
  size_t step_;
  const NormalizedRows<kCentred, T>& normalized_;
  const RowTerms<T>& terms_;
};

template <bool kCentred, typename T>
HWY_INLINE void backward_of_extreme_row(const NormBackward<T>& pass, size_t r) {
  const size_t first = r * pass.size;
  extreme_row_backward(kCentred, pass.size, pass.input + first, pass.weight, row_statistics<kCentred>(pass.all, r), pass.doutput + first,
                       pass.dinput == nullptr ? nullptr : pass.dinput + first, pass.dweight_of(r), pass.dbias_of(r));
}

template <bool kCentred, typename T>
void norm_backward(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& all, const T* doutput, T* dinput,
                   T* dweight, T* dbias, size_t ld_sums, bool streams, const T* next) {
  const NormBackward<T> pass = {size, input, weight, all, doutput, dinput, dweight, dbias, ld_sums, next};
  const auto extreme = [&](size_t r) { backward_of_extreme_row<kCentred>(pass, r); };
  RowTerms<T> terms;
  HWY_ALIGN T offsets[kGroupRows];
  const size_t step = group_rows(size, streams && dinput != nullptr);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t end = HWY_MIN(rows, begin + step);
    const auto normalized = normalized_rows<kCentred>(begin, end, size, input, all, offsets);
    if (dinput == nullptr) {  // dγ and dβ alone, the same bits
      const auto ordinary = [&](size_t first, size_t last) { add_to_weights(normalized, first, last, size, doutput, dweight, dbias); };
      for_each_stretch(begin, end, normalized.scaled, ordinary, extreme);
      continue;
    }
    with_rows<T>(size, streams, [&](auto columns) HWY_ATTR { find_terms<kCentred>(columns, pass, begin, end, normalized, terms); });
    const GroupColumns<kCentred, T> columns(pass, step, normalized, terms);
    const auto ordinary = [&](size_t first, size_t last) {
      if (streams) return columns.streamed(first, last);
      if (ld_sums == 0) return columns.side_by_side(first, last, dweight, dbias);
      for (size_t r = first; r < last; ++r) columns.side_by_side(r, r + 1, pass.dweight_of(r), pass.dbias_of(r));
    };
    for_each_stretch(begin, end, terms.extreme, ordinary, extreme);
  }
  if (streams) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
