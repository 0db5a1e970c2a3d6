#include "layers/recurrent/single_backward.h"
#include "layers/recurrent/single_forward.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel {
namespace {

template <typename T>
void forward(const ForwardPass<T>& pass) {
  SingleForward<T>(pass).run();
}

template <typename T>
void backward(const BackwardPass<T>& pass) {
  if (pass.concurrent == nullptr) return SingleBackward<T>(pass).run();
  const SingleForward<T> concurrent(*pass.concurrent);
  SingleBackward<T>(pass).run(&concurrent);
}

}  // namespace

template <typename T>
ScanStrategy<T> single_strategy() noexcept {
  return {.name = "single", .chunk_steps = single_chunk_steps, .forward = forward<T>, .backward = backward<T>, .takes_concurrent = true};
}

template ScanStrategy<float> single_strategy() noexcept;
template ScanStrategy<double> single_strategy() noexcept;

}  // namespace evenkeel
