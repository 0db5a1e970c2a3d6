#include "core/environment.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <cstdlib>
#endif

namespace evenkeel {

std::optional<std::string> environment(const char* name) {
#if defined(_WIN32)
  // Each C runtime of a Windows process has its own copy of the environment, in which a later process.env.NAME = … does not show.
  std::string value(GetEnvironmentVariableA(name, nullptr, 0), '\0');
  value.resize(GetEnvironmentVariableA(name, value.data(), static_cast<DWORD>(value.size())));
#else
  const char* text = std::getenv(name);
  std::string value = text == nullptr ? "" : text;
#endif
  return value.empty() ? std::nullopt : std::optional(std::move(value));
}

}  // namespace evenkeel
