#pragma once
#include <cstddef>

namespace evenkeel::scratch_cache {

// Memory for the scratch of native calls, 64-byte aligned. Blocks are kept for the next call of the same thread, a bounded number of bytes
// of them: the allocator would give each large one back to the system, and the system clear every page of it at the next call; and it is
// slow with small ones that must be aligned.

struct Block {
  void* data;
  size_t bytes;  // at least what was asked for
};

// Throws std::bad_alloc.
Block take(size_t bytes);
void give_back(Block block) noexcept;

}  // namespace evenkeel::scratch_cache
