#if defined(EVENKEEL_KERNELS_NORMALIZATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#undef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#else
#define EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#endif

#include <limits>
#include <type_traits>

#include "kernels/extreme_rows.h"
#include "kernels/kernels.h"
#include "kernels/row_groups-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

template <bool kCentred, typename T>
HWY_INLINE RowStatistics<T> row_statistics(const RowStatistics<T>& all, size_t r) {
  if constexpr (!kCentred) return {nullptr, nullptr, all.rstd + r};
  return {all.mean + r, all.residual + r, all.rstd + r};
}

// â = (a − μ) r of one row, or a r when not centred. Not of extreme rows
template <bool kCentred, typename T>
struct NormalizedRow {
  const T* input;
  T mean, rstd, offset;

  template <class D, class Memory>
  HWY_INLINE hn::Vec<D> at(D d, Memory memory, size_t i) const {
    const auto a = memory.load(d, input + i);
    if constexpr (!kCentred) return hn::Mul(a, hn::Set(d, rstd));
    return hn::MulAdd(hn::Sub(a, hn::Set(d, mean)), hn::Set(d, rstd), hn::Set(d, offset));
  }
};

// The same of a group of rows. To be copied: what a loop reads through a reference it reads again after every store.
template <bool kCentred, typename T>
struct NormalizedRows {
  size_t begin, size;
  const T* input;
  const T* mean;
  const T* rstd;
  const T* offsets;  // of the group
  uint64_t scaled;   // a bit for each row whose statistics are scaled

  HWY_INLINE NormalizedRow<kCentred, T> operator[](size_t r) const {
    return {input + r * size, kCentred ? mean[r] : 0, rstd[r], kCentred ? offsets[r - begin] : 0};
  }
};

// offsets: [kGroupRows], written here
template <bool kCentred, typename T>
HWY_INLINE NormalizedRows<kCentred, T> normalized_rows(size_t begin, size_t end, size_t size, const T* input, const RowStatistics<T>& all,
                                                       T* offsets) {
  const hn::ScalableTag<T> d;
  auto negative = hn::Zero(d);
  for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
    const auto rstd = memory.load(d, all.rstd + begin + r);
    negative = hn::Or(negative, hn::VecFromMask(d, hn::Lt(rstd, hn::Zero(d))));
    if constexpr (kCentred) hn::Store(hn::Neg(hn::Mul(memory.load(d, all.residual + begin + r), rstd)), d, offsets + r);
  });
  uint64_t scaled = 0;
  if (HWY_UNLIKELY(!hn::AllFalse(d, hn::MaskFromVec(negative)))) scaled = scaled_rows(end - begin, all.rstd + begin);
  return {begin, size, input, all.mean, all.rstd, offsets, scaled};
}

// Below this, squares that were lost because they are smaller than any normal number may count.
template <typename T>
constexpr T kLeastSquares = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon() * 8;

// μ = mean(a), r = 1/√(var(a) + ε): a first pass for a rounded mean m, a second for the moments of a − m, which are exact where a is near
// m: residual = mean(a − m), var = mean((a − m)²) − residual² (the corrected two-pass algorithm of Chan, Golub, LeVeque 1983).
// Not centred, for RMSNorm: r = 1/√(mean(a²) + ε).
template <bool kCentred, class Rows, typename T>
HWY_INLINE NormalizedRows<kCentred, T> group_statistics(Rows rows, size_t begin, size_t end, T eps, const T* input,
                                                        const RowStatistics<T>& all, T* offsets) {
  const hn::ScalableTag<T> d;
  const size_t size = rows.size;
  const auto count = hn::Set(d, static_cast<T>(size));
  RowSums<T, Rows::kShort> first, second;
  HWY_ALIGN T sums[kGroupRows];
  HWY_ALIGN T squares[kGroupRows];
  if constexpr (kCentred) {
    for (size_t r = begin; r < end; ++r) {
      sum_row(d, rows, r - begin, first, second,
              [&](size_t i, auto memory, auto& sum, auto&) HWY_ATTR { sum = hn::Add(sum, memory.load(d, input + r * size + i)); });
    }
    first.add_up(end - begin, sums);
    for_each_vector(d, end - begin,
                    [&](size_t r, auto memory) HWY_ATTR { memory.store(d, hn::Div(hn::Load(d, sums + r), count), all.mean + begin + r); });
  }
  for (size_t r = begin; r < end; ++r) {
    const auto mean = kCentred ? hn::Set(d, all.mean[r]) : hn::Zero(d);
    sum_row(d, rows, r - begin, first, second, [&](size_t i, auto memory, auto& sum, auto& sum_of_squares) HWY_ATTR {
      auto a = memory.load(d, input + r * size + i);
      if constexpr (kCentred) {
        a = zero_missing(d, memory, hn::Sub(a, mean));
        sum = hn::Add(sum, a);
      }
      sum_of_squares = hn::MulAdd(a, a, sum_of_squares);
    });
  }
  if constexpr (kCentred) first.add_up(end - begin, sums);
  second.add_up(end - begin, squares);
  FlaggedRows<T> extreme;
  for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
    auto variance = hn::Div(hn::Load(d, squares + r), count);
    auto in_range = hn::Eq(variance, variance);
    auto residual = hn::Zero(d);
    if constexpr (kCentred) {
      residual = hn::Div(hn::Load(d, sums + r), count);
      memory.store(d, residual, all.residual + begin + r);
      // Rounding may take a constant row below zero; NaN must pass.
      variance = hn::NegMulAdd(residual, residual, variance);
      variance = hn::IfThenZeroElse(hn::Lt(variance, hn::Zero(d)), variance);
      // Only elements that are all equal stand together further from their rounded mean than from each other.
      in_range = hn::Ge(hn::Mul(variance, hn::Set(d, 16)), hn::Mul(residual, residual));
    }
    const auto square = hn::Add(variance, hn::Set(d, eps));
    const auto rstd = hn::Div(hn::Set(d, 1), hn::Sqrt(square));
    memory.store(d, rstd, all.rstd + begin + r);
    if constexpr (kCentred) hn::Store(hn::Neg(hn::Mul(residual, rstd)), d, offsets + r);
    in_range = hn::And(in_range, hn::Ge(square, hn::Set(d, kLeastSquares<T>)));
    in_range = hn::And(in_range, hn::Le(square, hn::Set(d, std::numeric_limits<T>::max())));
    extreme.set(r, memory, hn::Not(in_range));
  });
  if (!extreme.any()) return {begin, size, input, all.mean, all.rstd, offsets, 0};
  extreme_statistics(kCentred, end - begin, size, eps, input + begin * size, row_statistics<kCentred>(all, begin), extreme.flags());
  return normalized_rows<kCentred>(begin, end, size, input, all, offsets);
}

// y = γ ⊙ â + β
template <bool kCentred, class Rows, typename T>
void norm_forward_of(Rows rows, size_t count, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                     const RowStatistics<T>& all) {
  const hn::ScalableTag<T> d;
  const size_t size = rows.size;
  const size_t step = group_rows(size, rows.streams);
  HWY_ALIGN T offsets[kGroupRows];
  for (size_t begin = 0; begin < count; begin += step) {
    const size_t end = HWY_MIN(count, begin + step);
    const auto normalized = group_statistics<kCentred>(rows, begin, end, eps, input, all, offsets);
    const auto bias_of = [&](size_t r) { return bias == nullptr ? nullptr : bias + r * ld_bias; };
    const auto ordinary = [&](size_t first, size_t last) HWY_ATTR __attribute__((always_inline)) {
      for (size_t r = first; r < last; ++r) {
        const auto row = normalized[r];
        T* row_output = output + r * size;
        const T* row_bias = bias_of(r);
        rows.for_each_column(d, row_output, [&](size_t i, auto memory) HWY_ATTR {
          auto y = row.at(d, memory, i);
          // Whole vectors of long rows in one operation, and all of a row that goes past the caches, where it is the address that tells
          // which vectors are whole; elsewhere the compiler contracts, or not.
          const bool whole = std::is_base_of_v<WholeVector, decltype(memory)> || (rows.streams && size % hn::Lanes(d) == 0);
          if (!Rows::kShort && whole && weight != nullptr && row_bias != nullptr) {
            y = hn::MulAdd(y, memory.load(d, weight + i), memory.load(d, row_bias + i));
          } else {
            if (weight != nullptr) y = hn::Mul(y, memory.load(d, weight + i));
            if (row_bias != nullptr) y = hn::Add(y, memory.load(d, row_bias + i));
          }
          memory.store(d, y, row_output + i);
        });
      }
    };
    for_each_stretch(begin, end, normalized.scaled, ordinary, [&](size_t r) {
      normalize_extreme_row(kCentred, size, input + r * size, weight, bias_of(r), output + r * size, row_statistics<kCentred>(all, r));
    });
  }
}

template <bool kCentred, typename T>
void norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                  const RowStatistics<T>& all, bool streams) {
  with_rows<T>(size, streams,
               [&](auto columns) HWY_ATTR { norm_forward_of<kCentred>(columns, rows, eps, input, weight, bias, ld_bias, output, all); });
  if (streams) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
