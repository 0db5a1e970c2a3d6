#pragma once
#include <optional>
#include <string>

namespace evenkeel {

// A variable of the process's environment; nothing where it is not set, or empty.
std::optional<std::string> environment(const char* name);

}  // namespace evenkeel
