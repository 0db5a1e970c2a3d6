#pragma once

// Windows alone: elsewhere the system's loader finds the functions of the program that loads the addon.

namespace evenkeel::binding {

// A function that the program exports; null where it has none of that name.
void* host_function(const char* name) noexcept;

}  // namespace evenkeel::binding
