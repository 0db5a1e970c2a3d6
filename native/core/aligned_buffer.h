#pragma once
#include <cstddef>
#include <limits>
#include <new>

namespace evenkeel {

// Scratch memory of one call, 64-byte aligned and not initialised. Throws std::bad_alloc, also when the size overflows.
template <typename T>
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t count) : data_(allocate(count)) {}
  ~AlignedBuffer() { ::operator delete(data_, kAlignment); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  T* get() const noexcept { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};

  static T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / 2 / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
  }

  T* data_;
};

}  // namespace evenkeel
