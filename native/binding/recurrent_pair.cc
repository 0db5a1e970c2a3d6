#include "binding/recurrent_passes.h"
#include "layers/recurrent/together.h"

namespace evenkeel::binding {
namespace {

// Two layers of one kind, whose passes are of the same steps and sequences.
struct Pair {
  Handle first, second;
};

Pair& pair_of(const Arguments& arguments) {
  auto& pair = *static_cast<Pair*>(arguments.data());
  pair.first->find_elements(arguments.env());
  pair.second->find_elements(arguments.env());
  return pair;
}

// The parts of the time, which are those of both passes: their arguments `lengths` stand at `first` and `second`.
template <typename T>
TimeParts<T> parts_of(const Arguments& arguments, size_t first, size_t second, const RecurrentShape& shape, const RecurrentLayer& layer) {
  TimeParts<T> time(arguments, first, shape, layer);
  if (!(time == TimeParts<T>(arguments, second, shape, layer))) {
    fail(arguments.env(), "ERR_OPTION", "lengths: expected the same for both.");
  }
  return time;
}

Napi::Value pair_forward(const Arguments& arguments) {
  const auto& layers = pair_of(arguments);
  RecurrentLayer &first = *layers.first, &second = *layers.second;
  const RecurrentShape shape = shape_of(arguments, first);
  with_type(first, [&](auto zero) {
    using T = decltype(zero);
    const size_t other = kPasses + kForwardArguments;
    const TimeParts<T> time = parts_of<T>(arguments, other - 1, other + kForwardArguments - 1, shape, first);
    const Sharing<T> of_first(first, time), of_second(second, time);
    for (const TimePart& part : time.all()) {
      with_forward<T>(arguments, first, shape, time, part, kPasses, [&](const ForwardPass<T>& a) {
        with_forward<T>(arguments, second, shape, time, part, other, [&](const ForwardPass<T>& b) {
          run_together_where_faster(
              a.shape, [&] { recurrent_forward(a); }, [&] { recurrent_forward(b); });
        });
      });
    }
  });
  return arguments.env().Undefined();
}

Napi::Value pair_backward(const Arguments& arguments) {
  const auto& layers = pair_of(arguments);
  RecurrentLayer &first = *layers.first, &second = *layers.second;
  const RecurrentShape shape = shape_of(arguments, first);
  size_t limited[2] = {0, 0};
  with_type(first, [&](auto zero) {
    using T = decltype(zero);
    using Concurrent = const ForwardPass<T>*;
    using Backward = const BackwardPass<T>&;
    const size_t other = kPasses + kBackwardArguments, at = other + kBackwardArguments;
    const TimeParts<T> time = parts_of<T>(arguments, other - 1, at - 1, shape, first);
    const Sharing<T> of_first(first, time), of_second(second, time);
    with_concurrent<T>(arguments, first, shape.n, at, at + 1, [&](Concurrent concurrent_a) {
      with_concurrent<T>(arguments, second, shape.n, at, at + 1 + kForwardArguments, [&](Concurrent concurrent_b) {
        for (size_t index = time.all().size(); index-- > 0;) {
          with_backward<T>(arguments, first, shape, time, index, kPasses, concurrent_a, [&](Backward a) {
            with_backward<T>(arguments, second, shape, time, index, other, concurrent_b, [&](Backward b) {
              run_together_where_faster(
                  a.forward.shape, [&] { recurrent_backward(a); }, [&] { recurrent_backward(b); });
              limited[0] += a.state_gradient.limited();
              limited[1] += b.state_gradient.limited();
            });
          });
        }
      });
    });
  });
  Napi::Array both = Napi::Array::New(arguments.env(), 2);
  for (std::uint32_t k = 0; k < 2; ++k) both.Set(k, static_cast<double>(limited[k]));
  return both;
}

Napi::Value recurrent_pair(const Arguments& arguments) {
  const Napi::Env env = arguments.env();
  const Pair pair = {arguments.external<Handle>(0, "first"), arguments.external<Handle>(1, "second")};
  const Widths &a = pair.first->widths(), &b = pair.second->widths();
  if (a.i != b.i || a.h != b.h || a.p != b.p || a.s != b.s || a.g != b.g || pair.first->is_double() != pair.second->is_double()) {
    fail(env, "ERR_SHAPE", "second: expected a layer of the sizes and the type of the first.");
  }
  Napi::Object handle = Napi::Object::New(env);
  add_method<pair_forward>(handle, "forward", pair);
  add_method<pair_backward>(handle, "backward", pair);
  return handle;
}

}  // namespace

void register_recurrent_pair(Napi::Object exports) { add_function<recurrent_pair>(exports, "recurrentPair"); }

}  // namespace evenkeel::binding
