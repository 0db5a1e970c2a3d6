#if defined(EVENKEEL_KERNELS_NORMALIZATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#undef EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#else
#define EVENKEEL_KERNELS_NORMALIZATION_INL_H_
#endif

#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/tile-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Rows go through each stage in groups: what a stage computes of a row (a sum over lanes, a root) takes long to come, and the other rows'
// work fills that time; and a group that lies in the first cache is read from memory once. Where it comes from beyond the caches, it is a
// small one, so that the next one's rows come meanwhile. A row's result does not depend on its group.
constexpr size_t kGroupRows = 64;
constexpr size_t kStreamedRows = 16;
constexpr size_t kGroupElements = 2048;

inline size_t group_rows(size_t size, bool streams) {
  return HWY_MAX(size_t{1}, HWY_MIN(streams ? kStreamedRows : kGroupRows, kGroupElements / size));
}

// Rows of many vectors ...
struct LongRows {
  static constexpr bool kShort = false;
  size_t size;
  bool streams;

  // body(i, memory) over the columns of rows that `output` points into, whose stores go past the caches or not
  template <class D, class Body, typename T = hn::TFromD<D>>
  HWY_INLINE void for_each_column(D d, const T* output, Body&& body) const {
    if (streams && size % hn::Lanes(d) == 0) {
      for_each_vector_streamed(d, size, output, body);
    } else {
      for_each_vector(d, size, body);
    }
  }
};

// ... and of kWhole vectors and what is left: the loops over them are unrolled, which would otherwise cost as much as the work in them.
template <size_t kWhole>
struct ShortRows {
  static constexpr bool kShort = true;
  size_t size;
  bool streams;  // where its rows are no whole vectors, stores go into the caches even so

  template <class D, class Body, typename T = hn::TFromD<D>>
  HWY_INLINE void for_each_column(D d, const T* /*output*/, Body&& body) const {
    const size_t whole = kWhole * hn::Lanes(d);
    unrolled<kWhole>([&](size_t v) HWY_ATTR { body(v * hn::Lanes(d), WholeVector()); });
    if (whole < size) body(whole, PartOfVector{size - whole});
  }
};

// body(rows) with the one or the other.
template <typename T, class Body>
HWY_INLINE void with_rows(size_t size, bool streams, Body&& body) {
  // Each of them is compiled apart, which for the targets of old processors is not worth its time.
  constexpr size_t kMostWhole = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2 ? 1 : 4;
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  if (size / lanes > kMostWhole || (streams && size % lanes == 0)) return body(LongRows{size, streams});
  with_constant<kMostWhole + 1>(size / lanes + 1, [&](auto n) HWY_ATTR { body(ShortRows<decltype(n)::value - 1>{size, streams}); });
}

// Sums over each row of a group. Of short rows, a vector of each row's sums lane by lane is kept, and those of all rows are added across
// lanes together, with a third of the shuffles that it takes row by row.
template <typename T, bool kTogether>
class RowSums {
  static constexpr hn::ScalableTag<T> d{};
  static constexpr size_t kLanes = hn::MaxLanes(d);

 public:
  HWY_INLINE void set(size_t r, hn::Vec<decltype(d)> lanes) {
    if constexpr (kTogether) {
      hn::Store(lanes, d, sums_ + r * kLanes);
    } else {
      sums_[r] = lane_sum(d, lanes);
    }
  }

  // sums: [kGroupRows], of each row. The order of a sum does not depend on `rows`, nor on r
  HWY_INLINE void add_up(size_t rows, T* sums) const {
    for (size_t r = 0; r < rows; r += kLanes) {
      hn::Store(kTogether ? across<kLanes>(rows - r, sums_ + r * kLanes) : hn::Load(d, sums_ + r), d, sums + r);
    }
  }

 private:
  // The sums of up to kRows rows, each lane of a vector a part of its row's: of a row 0, 1, 2, 3, … become 0 + 1, 2 + 3, …
  template <size_t kRows>
  static HWY_INLINE hn::Vec<decltype(d)> across([[maybe_unused]] size_t rows, const T* lanes) {
    if constexpr (kRows == 1) {
      return hn::Load(d, lanes);
#if HWY_TARGET != HWY_SCALAR  // which has one lane
    } else {
      constexpr size_t kHalf = kRows / 2;
      const auto low = across<kHalf>(rows, lanes);
      const auto high = rows > kHalf ? across<kHalf>(rows - kHalf, lanes + kHalf * kLanes) : low;
      return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
#endif
    }
  }

  static_assert(kGroupRows % kLanes == 0);
  HWY_ALIGN T sums_[kTogether ? kGroupRows * kLanes : kGroupRows];
};

// Of row r: first, second = Σ of what body(i, memory, first, second) adds to two vectors. Four of each hide the latency of additions.
template <class D, class Sums, class Body>
HWY_INLINE void sum_row(D d, LongRows rows, size_t r, Sums& first, Sums& second, Body&& body) {
  const size_t size = rows.size;
  const size_t lanes = hn::Lanes(d);
  auto a0 = hn::Zero(d), b0 = a0;
  size_t i = 0;
  if (size >= 4 * lanes) {
    auto a1 = a0, a2 = a0, a3 = a0, b1 = a0, b2 = a0, b3 = a0;
    for (; i + 4 * lanes <= size; i += 4 * lanes) {
      body(i, WholeVector(), a0, b0);
      body(i + lanes, WholeVector(), a1, b1);
      body(i + 2 * lanes, WholeVector(), a2, b2);
      body(i + 3 * lanes, WholeVector(), a3, b3);
    }
    a0 = hn::Add(hn::Add(a0, a1), hn::Add(a2, a3));
    b0 = hn::Add(hn::Add(b0, b1), hn::Add(b2, b3));
  }
  for (; i + lanes <= size; i += lanes) body(i, WholeVector(), a0, b0);
  if (i < size) body(i, PartOfVector{size - i}, a0, b0);
  first.set(r, a0);
  second.set(r, b0);
}
template <class D, size_t kWhole, class Sums, class Body, typename T = hn::TFromD<D>>
HWY_INLINE void sum_row(D d, ShortRows<kWhole> rows, size_t r, Sums& first, Sums& second, Body&& body) {
  auto a = hn::Zero(d), b = a;
  rows.for_each_column(d, static_cast<const T*>(nullptr), [&](size_t i, auto memory) HWY_ATTR { body(i, memory, a, b); });
  first.set(r, a);
  second.set(r, b);
}

// μ = mean(a), r = 1/√(var(a) + ε): a first pass for a rounded mean m, a second for the moments of a − m, which are exact where a is near
// m: residual = mean(a − m), var = mean((a − m)²) − residual² (the corrected two-pass algorithm of Chan, Golub, LeVeque 1983).
// Not centred, for RMSNorm: r = 1/√(mean(a²) + ε).
template <bool kCentred, class Rows, typename T>
HWY_INLINE void group_statistics(Rows rows, size_t begin, size_t end, T eps, const T* input, const RowStatistics<T>& all) {
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
  for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
    auto variance = hn::Div(hn::Load(d, squares + r), count);
    if constexpr (kCentred) {
      const auto residual = hn::Div(hn::Load(d, sums + r), count);
      memory.store(d, residual, all.residual + begin + r);
      // Rounding may take a constant row below zero; NaN must pass.
      variance = hn::NegMulAdd(residual, residual, variance);
      variance = hn::IfThenZeroElse(hn::Lt(variance, hn::Zero(d)), variance);
    }
    memory.store(d, hn::Div(hn::Set(d, 1), hn::Sqrt(hn::Add(variance, hn::Set(d, eps)))), all.rstd + begin + r);
  });
}

// â = (a − μ) r of one row, or a r when not centred
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

// The same of a group of rows.
template <bool kCentred, typename T>
class NormalizedRows {
 public:
  NormalizedRows(size_t begin, size_t end, size_t size, const T* input, const RowStatistics<T>& all)
      : begin_(begin), size_(size), input_(input), all_(all) {
    if constexpr (kCentred) {
      const hn::ScalableTag<T> d;
      for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
        const auto residual = memory.load(d, all.residual + begin + r);
        hn::Store(hn::Neg(hn::Mul(residual, memory.load(d, all.rstd + begin + r))), d, offsets_ + r);
      });
    }
  }

  HWY_INLINE NormalizedRow<kCentred, T> operator[](size_t r) const {
    return {input_ + r * size_, kCentred ? all_.mean[r] : 0, all_.rstd[r], kCentred ? offsets_[r - begin_] : 0};
  }

 private:
  size_t begin_, size_;
  const T* input_;
  const RowStatistics<T>& all_;
  HWY_ALIGN T offsets_[kGroupRows];
};

// y = γ ⊙ â + β
template <bool kCentred, class Rows, typename T>
void norm_forward_of(Rows rows, size_t count, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                     const RowStatistics<T>& all) {
  const hn::ScalableTag<T> d;
  const size_t size = rows.size;
  const size_t step = group_rows(size, rows.streams);
  for (size_t begin = 0; begin < count; begin += step) {
    const size_t end = HWY_MIN(count, begin + step);
    group_statistics<kCentred>(rows, begin, end, eps, input, all);
    const NormalizedRows<kCentred, T> normalized(begin, end, size, input, all);
    for (size_t r = begin; r < end; ++r) {
      const auto row = normalized[r];
      T* row_output = output + r * size;
      const T* row_bias = bias == nullptr ? nullptr : bias + r * ld_bias;
      rows.for_each_column(d, row_output, [&](size_t i, auto memory) HWY_ATTR {
        auto y = row.at(d, memory, i);
        if (weight != nullptr) y = hn::Mul(y, memory.load(d, weight + i));
        if (row_bias != nullptr) y = hn::Add(y, memory.load(d, row_bias + i));
        memory.store(d, y, row_output + i);
      });
    }
  }
}

template <bool kCentred, typename T>
void norm_forward(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                  const RowStatistics<T>& all, bool streams) {
  with_rows<T>(size, streams,
               [&](auto columns) HWY_ATTR { norm_forward_of<kCentred>(columns, rows, eps, input, weight, bias, ld_bias, output, all); });
  if (streams) hwy::FlushStream();
}

// dγ += Σ dy ⊙ â; dβ += Σ dy, over rows [begin, end).
template <bool kCentred, typename T>
HWY_INLINE void add_to_weights(const NormalizedRows<kCentred, T>& normalized, size_t begin, size_t end, size_t size, const T* doutput,
                               T* dweight, T* dbias) {
  const hn::ScalableTag<T> d;
  for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR {
    auto sum_dweight = memory.load(d, dweight + i);
    auto sum_dbias = dbias == nullptr ? hn::Zero(d) : memory.load(d, dbias + i);
    for (size_t r = begin; r < end; ++r) {
      const auto dy = memory.load(d, doutput + r * size + i);
      sum_dweight = hn::MulAdd(dy, normalized[r].at(d, memory, i), sum_dweight);
      sum_dbias = hn::Add(dy, sum_dbias);
    }
    memory.store(d, sum_dweight, dweight + i);
    if (dbias != nullptr) memory.store(d, sum_dbias, dbias + i);
  });
}

// g = dy ⊙ γ; da = r (g − mean(g) − â mean(g ⊙ â)), without mean(g) when not centred; dγ += Σ dy ⊙ â; dβ += Σ dy.
template <bool kCentred, class Rows, typename T>
void norm_backward_of(Rows rows, size_t count, const T* input, const T* weight, const RowStatistics<T>& all, const T* doutput, T* dinput,
                      T* dweight, T* dbias, size_t ld_sums, const T* next) {
  const hn::ScalableTag<T> d;
  const size_t size = rows.size;
  const auto minus_count = hn::Set(d, -static_cast<T>(size));
  RowSums<T, Rows::kShort> sums_g, sums_ga;
  HWY_ALIGN T shift[kGroupRows];  // −r mean(g)
  HWY_ALIGN T slope[kGroupRows];  // −r mean(g ⊙ â)
  T* const no_sums = nullptr;
  const size_t step = group_rows(size, rows.streams);
  for (size_t begin = 0; begin < count; begin += step) {
    const size_t end = HWY_MIN(count, begin + step);
    const NormalizedRows<kCentred, T> normalized(begin, end, size, input, all);
    for (size_t r = begin; r < end; ++r) {
      const auto row = normalized[r];
      const T* row_doutput = doutput + r * size;
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
    sums_g.add_up(end - begin, shift);
    sums_ga.add_up(end - begin, slope);
    for_each_vector(d, end - begin, [&](size_t r, auto memory) HWY_ATTR {
      const auto rstd = memory.load(d, all.rstd + begin + r);
      hn::Store(hn::Mul(rstd, hn::Div(hn::Load(d, shift + r), minus_count)), d, shift + r);
      hn::Store(hn::Mul(rstd, hn::Div(hn::Load(d, slope + r), minus_count)), d, slope + r);
    });
    // Column i of rows [first, last), which add to the same sums: those are in registers meanwhile.
    const auto column = [&](size_t first, size_t last, size_t i, auto memory, T* dweights, T* dbiases) HWY_ATTR {
      const auto gamma = weight == nullptr ? hn::Set(d, 1) : memory.load(d, weight + i);
      auto sum_dweight = dweights == nullptr ? hn::Zero(d) : memory.load(d, dweights + i);
      auto sum_dbias = dbiases == nullptr ? hn::Zero(d) : memory.load(d, dbiases + i);
      for (size_t r = first; r < last; ++r) {
        const auto row = normalized[r];
        const auto a = row.at(d, memory, i);
        const auto dy = memory.load(d, doutput + r * size + i);
        // Where neither array is in the caches, the next group's rows come while this one's are computed on: else each group waits for its
        // own.
        if constexpr (std::is_same_v<decltype(memory), StreamedVector> || std::is_same_v<decltype(memory), StreamedPart>) {
          hwy::Prefetch(input + (r + step) * size + i);
          hwy::Prefetch(doutput + (r + step) * size + i);
        }
        const auto g = hn::MulAdd(hn::Mul(dy, gamma), hn::Set(d, row.rstd), hn::Set(d, shift[r - begin]));
        memory.store(d, hn::MulAdd(a, hn::Set(d, slope[r - begin]), g), dinput + r * size + i);
        sum_dweight = hn::MulAdd(dy, a, sum_dweight);
        sum_dbias = hn::Add(dy, sum_dbias);
      }
      if (dweights != nullptr) memory.store(d, sum_dweight, dweights + i);
      if (dbiases != nullptr) memory.store(d, sum_dbias, dbiases + i);
    };
    if (rows.streams) {
      // Rows one after the other, which takes less long than side by side; sums apart, since what is stored to be loaded again soon would
      // wait for all that is on its way past the caches.
      for (size_t r = begin; r < end; ++r) {
        rows.for_each_column(d, dinput + r * size, [&](size_t i, auto memory) HWY_ATTR { column(r, r + 1, i, memory, no_sums, no_sums); });
      }
      if (dweight != nullptr) add_to_weights(normalized, begin, end, size, doutput, dweight, dbias);
    } else if (ld_sums == 0) {
      rows.for_each_column(d, dinput, [&](size_t i, auto memory) HWY_ATTR { column(begin, end, i, memory, dweight, dbias); });
    } else {
      for (size_t r = begin; r < end; ++r) {
        T* row_dweight = dweight == nullptr ? nullptr : dweight + r * ld_sums;
        T* row_dbias = dbias == nullptr ? nullptr : dbias + r * ld_sums;
        for_each_vector(d, size, [&](size_t i, auto memory) HWY_ATTR { column(r, r + 1, i, memory, row_dweight, row_dbias); });
      }
    }
  }
}

// dγ and dβ alone, the same bits.
template <bool kCentred, typename T>
void norm_backward_of_weights(size_t count, size_t size, const T* input, const RowStatistics<T>& all, const T* doutput, T* dweight,
                              T* dbias) {
  const size_t step = group_rows(size, false);
  for (size_t begin = 0; begin < count; begin += step) {
    const size_t end = HWY_MIN(count, begin + step);
    add_to_weights(NormalizedRows<kCentred, T>(begin, end, size, input, all), begin, end, size, doutput, dweight, dbias);
  }
}

template <bool kCentred, typename T>
void norm_backward(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& all, const T* doutput, T* dinput,
                   T* dweight, T* dbias, size_t ld_sums, bool streams, const T* next) {
  if (dinput == nullptr) return norm_backward_of_weights<kCentred>(rows, size, input, all, doutput, dweight, dbias);
  with_rows<T>(size, streams, [&](auto columns) HWY_ATTR {
    norm_backward_of<kCentred>(columns, rows, input, weight, all, doutput, dinput, dweight, dbias, ld_sums, next);
  });
  if (streams) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
