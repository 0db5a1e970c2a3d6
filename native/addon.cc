#include <napi.h>

#include "binding/arguments.h"

#ifdef __APPLE__
#include <dlfcn.h>
#endif

namespace {

// Node unloads an addon when the last worker that loaded it ends, while our threads may still run its code. Elsewhere the linker marks the
// addon, see CMakeLists.txt; Apple's has no such mark.
void stay_loaded() {
#ifdef __APPLE__
  Dl_info own;
  if (dladdr(reinterpret_cast<const void*>(&stay_loaded), &own) != 0) dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  static_cast<void>(env);
  stay_loaded();
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
