// On Windows an import names the file that it comes from. Node-API comes from node.exe, but also from electron.exe, a renamed node.exe, or
// a node.dll beside the program: so nothing is imported, and the functions are looked up when the addon is loaded.
#include "binding/host.h"

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

// What a call of an imported function goes through: __imp_NAME, as the linker would fill it for an import. The list is made by CMake of
// Node-API's own.
#define EVENKEEL_HOST_FUNCTION(name) extern "C" void* __imp_##name = nullptr;
#include "host_functions.inc"
#undef EVENKEEL_HOST_FUNCTION

namespace evenkeel::binding {
namespace {

HMODULE find_host() noexcept {
  for (const char* file : {"node.dll", "libnode.dll"}) {
    const HMODULE library = GetModuleHandleA(file);
    if (library != nullptr && GetProcAddress(library, "napi_create_function") != nullptr) return library;
  }
  return GetModuleHandleA(nullptr);
}

// Of a Node-API that is newer than the program; the addon calls none such.
void is_missing() {
  std::fputs("evenkeel: a function of Node-API is missing in this program\n", stderr);
  std::abort();
}

void look_up(void*& function, const char* name) noexcept {
  function = host_function(name);
  if (function == nullptr) function = reinterpret_cast<void*>(is_missing);
}

// Before all else of the addon.
[[gnu::constructor(101)]] void load() noexcept {
#define EVENKEEL_HOST_FUNCTION(name) look_up(__imp_##name, #name);
#include "host_functions.inc"
#undef EVENKEEL_HOST_FUNCTION
  // Stays loaded: Node unloads an addon when the last worker that loaded it ends, while our threads may still run its code.
  HMODULE self = nullptr;
  GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN, reinterpret_cast<const char*>(is_missing),
                     &self);
}

}  // namespace

void* host_function(const char* name) noexcept {
  static const HMODULE host = find_host();
  return reinterpret_cast<void*>(GetProcAddress(host, name));
}

}  // namespace evenkeel::binding
