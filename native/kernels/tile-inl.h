#if defined(EVENKEEL_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_TILE_INL_H_
#undef EVENKEEL_KERNELS_TILE_INL_H_
#else
#define EVENKEEL_KERNELS_TILE_INL_H_
#endif

#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// The part of a product that stays in registers while its sums run: as many sums as leave registers for a row's factor and a step's
// columns, so that independent sums hide the latency of a multiply-add. Tiles have kTileVectors vectors of columns; where one more is
// left over at the end, the last ones have it too, since a tile of one vector has too few sums.
#if HWY_ARCH_ARM_A64 || HWY_TARGET == HWY_AVX3
constexpr size_t kTileSums = 24;
constexpr size_t kTileVectors = HWY_ARCH_ARM_A64 ? 3 : 2;
constexpr size_t kMostTileRows = 8;
#else
constexpr size_t kTileSums = 12, kTileVectors = 2, kMostTileRows = 6;
#endif
constexpr size_t kMostTileVectors = kTileVectors + 1;
constexpr size_t tile_rows(size_t vectors) { return kTileSums / vectors < kMostTileRows ? kTileSums / vectors : kMostTileRows; }

// f(i) for i < N. Not a loop when the compiler decides what lives in registers.
template <size_t N, class F>
HWY_INLINE void unrolled(F&& f) {
  static_assert(N <= 32);
  HWY_UNROLL(32)
  for (size_t i = 0; i < N; ++i) f(i);
}

// Asks the caches for what is needed soon. GCC sees no effect in a lambda that does nothing else and leaves it out, but for the empty
// statement.
template <typename T>
HWY_INLINE void prefetch_line(const T* from) {
  hwy::Prefetch(from);
  asm volatile("");
}

// For addresses that follow from each other: GCC would keep each in a register, and where these run out, arguments in vector registers. To
// read one there it must wait behind all multiply-adds of the tile before, which took 60 cycles for each tile.
template <typename T>
HWY_INLINE T* launder_address(T* address) {
  asm("" : "+r"(address));
  return address;
}

// body(last) with what reaches the last vector of a row, of which memory has `in_last` elements. Only what stands in the body is compiled
// for both kinds.
template <typename T, class Body>
HWY_INLINE void with_last(size_t in_last, Body&& body) {
  if (in_last == hn::Lanes(hn::ScalableTag<T>())) {
    body(WholeVector());
  } else {
    body(PartOfVector{in_last});
  }
}

// R rows of V vectors. Memory has `in_last` elements of the last vector of a row.
template <size_t R, size_t V, typename T>
struct Tile {
  using D = hn::ScalableTag<T>;
  hn::Vec<D> sum[R][V];

  // Written out, because one that the compiler adds is not built for the target, and NEON's vectors have constructors of their own.
  HWY_ATTR HWY_INLINE Tile() {}  // NOLINT(modernize-use-equals-default)

  HWY_INLINE void clear() {
    unrolled<R * V>([&](size_t i) HWY_ATTR { sum[i / V][i % V] = hn::Zero(D()); });
  }

  HWY_INLINE void load(const T* from, size_t ld, size_t in_last) {
    each(from, ld, in_last, [&](size_t r, size_t v, const T* at, auto memory) HWY_ATTR { sum[r][v] = memory.load(D(), at); });
  }

  HWY_INLINE void store(T* to, size_t ld, size_t in_last) const {
    each(to, ld, in_last, [&](size_t r, size_t v, T* at, auto memory) HWY_ATTR { memory.store(D(), sum[r][v], at); });
  }

  HWY_INLINE void add_to(T* to, size_t ld, size_t in_last) const {
    each(to, ld, in_last,
         [&](size_t r, size_t v, T* at, auto memory) HWY_ATTR { memory.store(D(), hn::Add(memory.load(D(), at), sum[r][v]), at); });
  }

  // For what is loaded only once the sums are done: memory beyond the caches has until then to deliver it.
  HWY_INLINE void prefetch(const T* from, size_t ld) const {
    unrolled<R * V>([&](size_t i) HWY_ATTR { prefetch_line(from + i / V * ld + i % V * hn::Lanes(D())); });
  }

  // One step of all sums: a(r) is row r's factor in every lane, b(v) the columns of vector v. The shorter side stays in registers.
  template <class A, class B>
  HWY_INLINE void multiply_add(A&& a, B&& b) {
    unrolled<R * V>([&](size_t i) HWY_ATTR {
      const size_t r = R < V ? i % R : i / V;
      const size_t v = R < V ? i / R : i % V;
      sum[r][v] = hn::MulAdd(a(r), b(v), sum[r][v]);
    });
  }

 private:
  template <class P, class F>
  static HWY_INLINE void each(P row, size_t ld, size_t in_last, F&& f) {
    with_last<T>(in_last, [&](auto last) HWY_ATTR {
      unrolled<R>([&](size_t r) HWY_ATTR {
        unrolled<V - 1>([&](size_t v) HWY_ATTR { f(r, v, row + v * hn::Lanes(D()), WholeVector()); });
        f(r, V - 1, row + (V - 1) * hn::Lanes(D()), last);
        row = launder_address(row + ld);
      });
    });
  }
};

// body(n) with a run-time n of 1 to Max as a constant.
template <size_t Max, class Body>
HWY_INLINE void with_constant(size_t n, Body&& body) {
  if constexpr (Max > 1) {
    if (n != Max) return with_constant<Max - 1>(n, body);
  }
  body(std::integral_constant<size_t, Max>());
}

// body(row, n) for tiles of n rows, n a constant of at most Max: as few tiles as can be, as equal as can be.
template <size_t Max, class Body>
HWY_INLINE void for_each_tile(size_t rows, Body&& body) {
  for (size_t row = 0, tiles = hwy::DivCeil(rows, Max); tiles > 0; --tiles) {
    const size_t count = hwy::DivCeil(rows - row, tiles);
    with_constant<Max>(count, [&](auto n) HWY_ATTR { body(row, n); });
    row += count;
  }
}

// body(col, v, in_last) for panels of v vectors of the columns [begin, cols), v a constant of at most kMostTileVectors; memory has in_last
// elements of the last vector.
template <typename T, class Body>
HWY_INLINE void for_each_panel(size_t begin, size_t cols, Body&& body) {
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  for (size_t col = begin; col < cols;) {
    const size_t left = hwy::DivCeil(cols - col, lanes);
    with_constant<kMostTileVectors>(left == kMostTileVectors ? left : HWY_MIN(left, kTileVectors), [&](auto vectors) HWY_ATTR {
      body(col, vectors, HWY_MIN(lanes, cols - col - (vectors() - 1) * lanes));
      col += vectors() * lanes;
    });
  }
}

// Rows of V vectors; `from_last` and `to_last` reach the last one of each.
template <size_t V, class FromLast, class ToLast, typename T>
HWY_INLINE void copy_columns(size_t rows, const T* from, size_t ld_from, FromLast from_last, T* to, size_t ld_to, ToLast to_last) {
  const hn::ScalableTag<T> d;
  for (size_t row = 0; row < rows; ++row, from += ld_from, to += ld_to) {
    unrolled<V - 1>([&](size_t v) HWY_ATTR { hn::StoreU(hn::LoadU(d, from + v * hn::Lanes(d)), d, to + v * hn::Lanes(d)); });
    to_last.store(d, from_last.load(d, from + (V - 1) * hn::Lanes(d)), to + (V - 1) * hn::Lanes(d));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
