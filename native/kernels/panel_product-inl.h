#if defined(EVENKEEL_KERNELS_PANEL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_PANEL_PRODUCT_INL_H_
#undef EVENKEEL_KERNELS_PANEL_PRODUCT_INL_H_
#else
#define EVENKEEL_KERNELS_PANEL_PRODUCT_INL_H_
#endif

#include <algorithm>

#include "kernels/activation-inl.h"
#include "kernels/kernels.h"
#include "kernels/tile-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// Panels: the columns of b [k, cols] in groups of vectors (for_each_panel), each group k-major. The last vector is filled up with zeros.
template <typename T>
size_t panel_columns() {
  return kTileVectors * hn::Lanes(hn::ScalableTag<T>());
}

template <typename T>
void pack_panels(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride, T* panels) {
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  for_each_panel<T>(0, cols, [&](size_t first, auto vectors, size_t in_last) HWY_ATTR {
    const size_t width = vectors() * lanes;
    const T* from = b + first * col_stride;
    T* to = panels + first * k;
    if (col_stride == 1) {
      return with_last<T>(in_last, [&](auto last) HWY_ATTR { copy_columns<vectors()>(k, from, k_stride, last, to, width, WholeVector()); });
    }
    for (size_t v = 0; v < vectors(); ++v) {
      transpose_to_lanes(v + 1 == vectors() ? in_last : lanes, k, from + v * lanes * col_stride, col_stride, to + v * lanes, width);
    }
  });
}

template <typename T>
void unpack_panels(size_t k, size_t cols, const T* panels, T* b) {
  for_each_panel<T>(0, cols, [&](size_t first, auto vectors, size_t in_last) HWY_ATTR {
    const size_t width = vectors() * hn::Lanes(hn::ScalableTag<T>());
    with_last<T>(in_last,
                 [&](auto last) HWY_ATTR { copy_columns<vectors()>(k, panels + first * k, width, WholeVector(), b + first, cols, last); });
  });
}

// A longer product goes through memory in between, so that a panel's part stays in L1 while every tile of rows uses it.
constexpr size_t kLongestPass = 384;

// The part of one operand that a tile multiplies.
template <typename T>
struct TileOperand {
  const T* a;
  size_t lda;
  const T* b;  // in the first panel
  size_t ldb;  // from panel to panel
  size_t k;
  // Software-prefetch address, and its stride in bytes per k.
  const char* next;
  size_t next_step;
};

// tile += a b, in P panels of V vectors
template <size_t P, size_t V, class Tile, typename T>
HWY_INLINE void multiply_add(const TileOperand<T>& operand, Tile& tile) {
  const typename Tile::D d;
  const size_t lda = operand.lda;
  const size_t ldb = operand.ldb;
  for (size_t k = 0; k < operand.k; ++k) {
    const T* a = operand.a + k;
    const T* b = operand.b + k * V * hn::Lanes(d);
    prefetch_line(operand.next + k * operand.next_step);
    const T* a4 = launder_address(a + 4 * lda);
    tile.multiply_add([=](size_t r) HWY_ATTR { return hn::Set(d, r < 4 ? a[r * lda] : a4[(r - 4) * lda]); },
                      [=](size_t v) HWY_ATTR { return hn::Load(d, b + v / V * ldb + v % V * hn::Lanes(d)); });
  }
}

// c = start + the products of one or two operands (the second one's k may be 0), in R rows and P panels of V vectors.
template <size_t R, size_t P, size_t V, typename T>
HWY_NOINLINE void multiply_tile(const TileOperand<T>& first, const TileOperand<T>& second, const T* start, size_t ld_start, T* c,
                                size_t ldc, size_t in_last) {
  Tile<R, P * V, T> tile;
  if (start == nullptr) {
    tile.clear();
  } else {
    tile.load(start, ld_start, in_last);
  }
  multiply_add<P, V>(first, tile);
  multiply_add<P, V>(second, tile);
  tile.store(c, ldc, in_last);
}

// The part [begin, begin + k) of an operand's k.
template <typename T>
struct PartOfOperand {
  PanelOperand<T> whole;
  size_t begin, k;

  // Tile `rows` of `all_rows`, in P panels of `width` columns. Each tile asks for its share of the panels after these. Where a pass takes
  // all of k, memory is read in order, and needs not be asked.
  TileOperand<T> tile(size_t row, size_t rows, size_t all_rows, size_t col, size_t width, size_t panels) const {
    const size_t panel = panel_columns<T>() * whole.k;
    const T* b = whole.panels + col * whole.k + begin * width;
    const T* next = k == whole.k ? b : b + panels * panel + k * width * row / all_rows;
    const size_t next_step = k == whole.k ? 0 : width * sizeof(T) * rows / all_rows;
    return {whole.a + row * whole.lda + begin, whole.lda, b, panel, k, reinterpret_cast<const char*>(next), next_step};
  }
};

// Where a tile of sums stands in c.
struct TilePlace {
  size_t row, rows, col, cols;
};

// What becomes of a tile whose sums are complete, while it is in L1. Called through a pointer, because a pass has it for every size of
// tile: compiled into each of them, tanh alone took half a minute to compile.
struct Epilogue {
  const void* what;
  void (*run)(const void* what, const TilePlace& place);  // null for nothing

  template <class F>
  static Epilogue of(const F& f) {
    return {&f, [](const void* what, const TilePlace& place) HWY_ATTR { (*static_cast<const F*>(what))(place); }};
  }
};

template <typename T>
struct Pass {
  size_t rows;
  PartOfOperand<T> first, second;
  const T* start;
  size_t ld_start;
  T* c;
  size_t ldc;
  Epilogue epilogue;
};

// A tile of so few rows has too few sums in one panel, and takes this many panels at once.
constexpr size_t kFewRows = 2, kPanelsAtOnce = 3;

// All rows of P panels of V vectors; more than one panel only for at most kFewRows rows.
template <size_t P, size_t V, typename T>
HWY_INLINE void multiply_columns(const Pass<T>& pass, size_t col, size_t in_last) {
  const size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  for_each_tile<P == 1 ? tile_rows(V) : kFewRows>(pass.rows, [&](size_t row, auto rows) HWY_ATTR {
    const T* start = pass.start == nullptr ? nullptr : pass.start + row * pass.ld_start + col;
    const auto tile = [&](const PartOfOperand<T>& operand) { return operand.tile(row, rows(), pass.rows, col, V * lanes, P); };
    multiply_tile<rows(), P, V>(tile(pass.first), tile(pass.second), start, pass.ld_start, pass.c + row * pass.ldc + col, pass.ldc,
                                in_last);
    if (pass.epilogue.run != nullptr) pass.epilogue.run(pass.epilogue.what, {row, rows(), col, (P * V - 1) * lanes + in_last});
  });
}

template <typename T>
void multiply_pass(const Pass<T>& pass, size_t cols) {
  size_t col = 0;
  if (pass.rows <= kFewRows) {
    const size_t columns_at_once = kPanelsAtOnce * panel_columns<T>();
    // A panel of one vector more, at the end, stays whole.
    for (; col + columns_at_once + panel_columns<T>() <= cols; col += columns_at_once) {
      multiply_columns<kPanelsAtOnce, kTileVectors>(pass, col, hn::Lanes(hn::ScalableTag<T>()));
    }
  }
  for_each_panel<T>(col, cols,
                    [&](size_t first, auto vectors, size_t in_last) HWY_ATTR { multiply_columns<1, vectors()>(pass, first, in_last); });
}

// As multiply_panels, then the epilogue.
template <typename T>
void multiply_panels_then(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second, const T* start,
                          size_t ld_start, T* c, size_t ldc, const Epilogue& epilogue) {
  if (first.k + second.k <= kLongestPass) {
    multiply_pass<T>({rows, {first, 0, first.k}, {second, 0, second.k}, start, ld_start, c, ldc, epilogue}, cols);
    return;
  }
  const Epilogue nothing = {nullptr, nullptr};
  for (const PanelOperand<T>* operand : {&first, &second}) {
    for (size_t begin = 0; begin < operand->k; begin += kLongestPass) {
      const size_t k = std::min(kLongestPass, operand->k - begin);
      const bool is_last = begin + k == operand->k && (operand == &second || second.k == 0);
      multiply_pass<T>({rows, {*operand, begin, k}, {*operand, 0, 0}, start, ld_start, c, ldc, is_last ? epilogue : nothing}, cols);
      start = c;
      ld_start = ldc;
    }
  }
}

template <typename T>
void multiply_panels(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second, const T* start, size_t ld_start,
                     T* c, size_t ldc) {
  multiply_panels_then(rows, cols, first, second, start, ld_start, c, ldc, {nullptr, nullptr});
}

// each(row, col, memory) for the vectors of a tile.
template <typename T, class Each>
HWY_INLINE void for_each_of_tile(const TilePlace& place, Each&& each) {
  for (size_t row = place.row; row < place.row + place.rows; ++row) {
    for_each_vector(hn::ScalableTag<T>(), place.cols, [&](size_t i, auto memory) HWY_ATTR { each(row, place.col + i, memory); });
  }
}

template <class Phi, typename T>
void multiply_and_elman_forward(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second, const T* start,
                                size_t ld_start, const ElmanForwardProduct<T>& elman, T* c, size_t ldc) {
  const hn::ScalableTag<T> d;
  const auto forward = [&](const TilePlace& place) HWY_ATTR {
    for_each_of_tile<T>(place, [&](size_t row, size_t col, auto memory) HWY_ATTR {
      const auto h = Phi::apply(d, hn::Add(memory.load(d, c + row * ldc + col), memory.load(d, elman.bias + col)));
      memory.store(d, h, c + row * ldc + col);
      memory.store(d, h, elman.output + row * elman.ld_output + col);
    });
  };
  multiply_panels_then(rows, cols, first, second, start, ld_start, c, ldc, Epilogue::of(forward));
}

template <class Phi, typename T>
void multiply_and_elman_backward(size_t rows, size_t cols, const PanelOperand<T>& operand, const T* start, size_t ld_start,
                                 const ElmanBackwardProduct<T>& elman, T* c, size_t ldc) {
  const hn::ScalableTag<T> d;
  const auto backward = [&](const TilePlace& place) HWY_ATTR {
    for_each_of_tile<T>(place, [&](size_t row, size_t col, auto memory) HWY_ATTR {
      const auto h = memory.load(d, elman.state + row * elman.ld_state + col);
      memory.store(d, Phi::times_derivative(d, memory.load(d, c + row * ldc + col), h), c + row * ldc + col);
    });
  };
  const PanelOperand<T> nothing = {nullptr, 0, nullptr, 0};
  multiply_panels_then(rows, cols, operand, nothing, start, ld_start, c, ldc, Epilogue::of(backward));
}

template <typename T>
void multiply_panels_elman_forward(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second, const T* start,
                                   size_t ld_start, const ElmanForwardProduct<T>& elman, T* c, size_t ldc) {
  const auto run = elman.nonlinearity == Nonlinearity::kTanh ? multiply_and_elman_forward<Tanh, T> : multiply_and_elman_forward<Relu, T>;
  run(rows, cols, first, second, start, ld_start, elman, c, ldc);
}

template <typename T>
void multiply_panels_elman_backward(size_t rows, size_t cols, const PanelOperand<T>& operand, const T* start, size_t ld_start,
                                    const ElmanBackwardProduct<T>& elman, T* c, size_t ldc) {
  const auto run = elman.nonlinearity == Nonlinearity::kTanh ? multiply_and_elman_backward<Tanh, T> : multiply_and_elman_backward<Relu, T>;
  run(rows, cols, operand, start, ld_start, elman, c, ldc);
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
