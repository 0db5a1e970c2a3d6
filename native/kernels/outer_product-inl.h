#if defined(EVENKEEL_KERNELS_OUTER_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_OUTER_PRODUCT_INL_H_
#undef EVENKEEL_KERNELS_OUTER_PRODUCT_INL_H_
#else
#define EVENKEEL_KERNELS_OUTER_PRODUCT_INL_H_
#endif

#include <algorithm>

#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// A sum runs over this many rows before it is added to c: few enough that their part of a panel of b stays in L1 for every tile of c.
constexpr size_t kRowsPerSum = 128;

// Columns of b that were copied together, and the columns of c that they belong to.
template <typename T>
struct OuterPanel {
  size_t rows;
  const T* a;
  size_t lda;
  const T* b;  // [rows, whole vectors]
  T* c;
  size_t ldc;
};

template <size_t R, size_t V, typename T>
HWY_NOINLINE void add_outer_tile(const OuterPanel<T>& panel, size_t row, size_t in_last) {
  const hn::ScalableTag<T> d;
  Tile<R, V, T> tile;
  tile.clear();
  T* c = panel.c + row * panel.ldc;
  tile.prefetch(c, panel.ldc);
  const T* a = panel.a + row;
  const T* b = panel.b;
  for (size_t k = 0; k < panel.rows; ++k, a += panel.lda, b += V * hn::Lanes(d)) {
    tile.multiply_add([=](size_t r) HWY_ATTR { return hn::Set(d, a[r]); },
                      [=](size_t v) HWY_ATTR { return hn::Load(d, b + v * hn::Lanes(d)); });
  }
  tile.add_to(c, panel.ldc, in_last);
}

template <size_t V, typename T>
void add_outer_panel(size_t m, const OuterPanel<T>& panel, size_t in_last) {
  for_each_tile<tile_rows(V)>(m, [&](size_t row, auto rows) HWY_ATTR { add_outer_tile<rows(), V>(panel, row, in_last); });
}

// body(panel, col, vectors, in_last) for every panel of b's columns in as many rows as a sum runs over; memory has in_last elements of the
// last of its vectors; the body sets the panel's c.
template <typename T, class Body>
HWY_INLINE void for_each_outer_panel(size_t rows, size_t n, const T* a, size_t lda, const T* b, size_t ldb, Body&& body) {
  const hn::ScalableTag<T> d;
  HWY_ALIGN T columns[kRowsPerSum * kMostTileVectors * hn::MaxLanes(d)];
  for (size_t row = 0; row < rows; row += kRowsPerSum) {
    const size_t count = std::min(kRowsPerSum, rows - row);
    for_each_panel<T>(0, n, [&](size_t col, auto vectors, size_t in_last) HWY_ATTR {
      with_last<T>(in_last, [&](auto last) HWY_ATTR {
        copy_columns<vectors()>(count, b + row * ldb + col, ldb, last, columns, vectors() * hn::Lanes(d), WholeVector());
      });
      body(OuterPanel<T>{count, a + row * lda, lda, columns, nullptr, 0}, col, vectors, in_last);
    });
  }
}

template <typename T>
void add_outer_products(size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc) {
  for_each_outer_panel(rows, n, a, lda, b, ldb, [&](OuterPanel<T> panel, size_t col, auto vectors, size_t in_last) HWY_ATTR {
    panel.c = c + col;
    panel.ldc = ldc;
    add_outer_panel<vectors()>(m, panel, in_last);
  });
}

template <typename T>
void add_outer_products_in_panels(size_t rows, size_t begin, size_t end, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb,
                                  T* panels) {
  for_each_outer_panel(rows, n, a + begin, lda, b, ldb, [&](OuterPanel<T> panel, size_t col, auto vectors, size_t /*in_last*/) HWY_ATTR {
    const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
    panel.ldc = vectors() * lanes;
    panel.c = panels + col * m + begin * panel.ldc;
    add_outer_panel<vectors()>(end - begin, panel, lanes);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
