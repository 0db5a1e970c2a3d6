#include <napi.h>

#include "binding/arguments.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  static_cast<void>(env);
  evenkeel::binding::register_runtime(exports);
  evenkeel::binding::register_copy_steps(exports);
  evenkeel::binding::register_embedding(exports);
  evenkeel::binding::register_layers(exports);
  evenkeel::binding::register_masks(exports);
  evenkeel::binding::register_recurrent(exports);
  evenkeel::binding::register_recurrent_pair(exports);
  evenkeel::binding::register_training(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(evenkeel, initialize)
