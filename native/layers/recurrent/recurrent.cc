#include "layers/recurrent/recurrent.h"

#include <algorithm>

#include "layers/recurrent/strategy.h"
#include "layers/recurrent/tape.h"

namespace evenkeel {
namespace {

template <typename T>
Tape<T> tape_of(const RecurrentShape& shape, const CellTraits& traits, T* memory) noexcept {
  return {shape, traits, scan_strategy<T>(shape, traits).in_lanes ? kernels<T>().lane_count() : 0, memory};
}

}  // namespace

size_t recurrent_chunk_steps(const RecurrentShape& shape, const CellTraits& traits) noexcept {
  return scan_strategy<float>(shape, traits).chunk_steps(shape);
}

template <typename T>
size_t tape_length(const RecurrentShape& shape, const CellTraits& traits) noexcept {
  return tape_of<T>(shape, traits, nullptr).length(shape.t);
}

template <typename T>
size_t tape_stride(const RecurrentShape& shape, const CellTraits& traits) noexcept {
  return tape_of<T>(shape, traits, nullptr).stride();
}

template <typename T>
void read_state(const RecurrentShape& shape, const CellTraits& traits, const T* output, T* memory, size_t step, T* state) noexcept {
  const size_t lanes = scan_strategy<T>(shape, traits).in_lanes ? kernels<T>().lane_count() : 0;
  const Tape<T> tape(shape, traits, lanes, memory);
  for (size_t n = 0; n < shape.n; ++n) {
    T* row = state + n * shape.s;
    std::copy_n(output + (n * shape.steps_apart() + step) * shape.p, shape.p, row);
    const size_t lane = lanes == 0 ? 0 : n % lanes;
    const T* hidden = tape.hidden_state(tape.rows(step, n - lane, 1));
    if (hidden == nullptr) continue;
    for (size_t k = 0; k < shape.hidden_state(); ++k) row[shape.p + k] = lanes == 0 ? hidden[k] : hidden[k * lanes + lane];
  }
}

template <typename T>
void recurrent_forward(const ForwardPass<T>& pass) {
  scan_strategy<T>(pass.shape, pass.cell.traits).forward(pass);
}

template <typename T>
void recurrent_backward(const BackwardPass<T>& pass) {
  const ScanStrategy<T> strategy = scan_strategy<T>(pass.forward.shape, pass.forward.cell.traits);
  strategy.backward(pass);
  const RecurrentShape& shape = pass.forward.shape;
  const Cell<T>& cell = pass.forward.cell;
  cell.after_backward(tape_of(shape, cell.traits, pass.forward.tape), shape.t, strategy.chunk_steps(shape));
  if (pass.concurrent != nullptr && !strategy.takes_concurrent) strategy.forward(*pass.concurrent);
}

#define EVENKEEL_INSTANTIATE(T)                                                                          \
  template size_t tape_length<T>(const RecurrentShape&, const CellTraits&) noexcept;                     \
  template size_t tape_stride<T>(const RecurrentShape&, const CellTraits&) noexcept;                     \
  template void read_state(const RecurrentShape&, const CellTraits&, const T*, T*, size_t, T*) noexcept; \
  template void recurrent_forward(const ForwardPass<T>&);                                                \
  template void recurrent_backward(const BackwardPass<T>&);
EVENKEEL_INSTANTIATE(float)
EVENKEEL_INSTANTIATE(double)
#undef EVENKEEL_INSTANTIATE

}  // namespace evenkeel
