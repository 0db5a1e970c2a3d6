// What a binary for macOS asks of its system, played on Linux.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace played {

// A function or a variable of libSystem, by its name in C; for what is not played a function that stops the process and tells the name.
void* find(const std::string& name);
void* refuse(const std::string& name);

// thread_variables.cc: the first values of the binary's thread variables, of which those after `size` bytes are zero.
void set_thread_variables(const char* values, size_t size, size_t size_with_zeros);
void at_thread_exit(void (*function)(void*), void* object);

// loader.cc: where the tables are by which a stack is unwound, for the image that an address is in.
struct UnwindSections {
  const void* header;
  const void* frames;
  uintptr_t frames_size;
  const void* unwind;
  uintptr_t unwind_size;
};
bool find_unwind_sections(const void* address, UnwindSections* found);

}  // namespace played

// Finds a thread variable by its descriptor, and changes no other register than that of its result.
extern "C" __attribute__((visibility("hidden"))) void evenkeel_thread_variable();
