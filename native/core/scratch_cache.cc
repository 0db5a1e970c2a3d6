#include "core/scratch_cache.h"

#include <algorithm>
#include <array>
#include <new>

namespace evenkeel::scratch_cache {
namespace {

constexpr std::align_val_t kAlignment{64};
// The unit of all blocks: small ones of several sizes serve for each other.
constexpr size_t kUnit = 256;
constexpr size_t kMostBytes = size_t{128} << 20;  // of one thread: what a layer of 2560 inputs and units takes

void release(Block block) noexcept { ::operator delete(block.data, kAlignment); }

#if defined(__SANITIZE_ADDRESS__)
// A block that is kept would hide a use after it was given back.
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

class Cache {
 public:
  Cache() = default;
  ~Cache() {
    while (count_ > 0) release(remove(0));
  }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // The smallest kept block of at least `bytes`, unless it is of more than twice as many; else one without data. Of blocks of one size the
  // one that was kept last: a call gives back in the reverse of the order in which it takes, and so the next one like it finds at once what
  // it looks for.
  Block find(size_t bytes) noexcept {
    size_t best = count_;
    for (size_t i = count_; i-- > 0;) {
      const size_t size = blocks_[i].bytes;
      if (size == bytes) return remove(i);
      if (size >= bytes && size / 2 <= bytes && (best == count_ || size < blocks_[best].bytes)) best = i;
    }
    return best == count_ ? Block{} : remove(best);
  }

  // Makes room by what has been kept longest.
  void keep(Block block) noexcept {
    while (count_ == blocks_.size() || (count_ > 0 && bytes_ + block.bytes > kMostBytes)) release(remove(0));
    blocks_[count_++] = block;
    bytes_ += block.bytes;
  }

 private:
  Block remove(size_t index) noexcept {
    const Block block = blocks_[index];
    std::copy(blocks_.begin() + index + 1, blocks_.begin() + count_, blocks_.begin() + index);
    --count_;
    bytes_ -= block.bytes;
    return block;
  }

  std::array<Block, 64> blocks_{};  // [0, count_), in the order in which they were kept
  size_t count_ = 0;
  size_t bytes_ = 0;
};

thread_local Cache cache;

// Where a block of no bytes stands: an address to count from, as any other.
alignas(64) char nothing;

}  // namespace

Block take(size_t bytes) {
  if (bytes == 0) return {&nothing, 0};
  if (kKeeps) {
    bytes = (bytes / kUnit + 1) * kUnit;
    const Block kept = cache.find(bytes);
    if (kept.data != nullptr) return kept;
  }
  return {::operator new(bytes, kAlignment), bytes};
}

void give_back(Block block) noexcept {
  if (block.bytes == 0) return;
  if (kKeeps && block.bytes <= kMostBytes) {
    cache.keep(block);
  } else {
    release(block);
  }
}

}  // namespace evenkeel::scratch_cache
