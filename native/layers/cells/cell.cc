#include "layers/cells/cell.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "layers/dense.h"

namespace evenkeel {

template <typename T>
void Cell<T>::accumulate(size_t rows, const T* dgates_x, const T* dgates_h) const {
  const size_t width = widths.gates(), separate = widths.separate_gates();
  const AlignedBuffer<T> sums(width + separate);
  std::fill_n(sums.get(), width + separate, T{0});
  if (reads_sums()) {
    accumulate_column_sums(rows, width, dgates_x, sums.get());
    if (separate > 0) accumulate_column_sums(rows, separate, dgates_h, sums.get() + width);
  }
  accumulate_sums(sums.get(), sums.get() + width);
}

template void Cell<float>::accumulate(size_t, const float*, const float*) const;
template void Cell<double>::accumulate(size_t, const double*, const double*) const;

}  // namespace evenkeel
