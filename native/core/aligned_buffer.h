#pragma once
#include <cstddef>
#include <limits>
#include <new>

#include "core/scratch_cache.h"

namespace evenkeel {

// Scratch memory of one call, 64-byte aligned and not initialised. Throws std::bad_alloc, also when the size overflows.
template <typename T>
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t count) : block_(scratch_cache::take(byte_count(count))) {}
  ~AlignedBuffer() { scratch_cache::give_back(block_); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  T* get() const noexcept { return static_cast<T*>(block_.data); }

 private:
  static size_t byte_count(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / 2 / sizeof(T)) throw std::bad_alloc();
    return count * sizeof(T);
  }

  scratch_cache::Block block_;
};

}  // namespace evenkeel
