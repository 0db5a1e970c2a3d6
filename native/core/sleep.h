#pragma once
#include <atomic>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#endif

namespace evenkeel {

// Sleeps while number == seen, until woken; as std::atomic's wait, which libc++ replaces by polling every few milliseconds on Windows.
inline void sleep_while(const std::atomic<unsigned>& number, unsigned seen) noexcept {
#if defined(_WIN32)
  while (number.load(std::memory_order_seq_cst) == seen) {
    WaitOnAddress(const_cast<std::atomic<unsigned>*>(&number), &seen, sizeof seen, INFINITE);
  }
#else
  number.wait(seen, std::memory_order_seq_cst);
#endif
}

// Wakes one thread that sleeps on `number`, after it changed.
inline void wake_one(std::atomic<unsigned>& number) noexcept {
#if defined(_WIN32)
  WakeByAddressSingle(&number);
#else
  number.notify_one();
#endif
}

}  // namespace evenkeel
