#pragma once
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace evenkeel {

// For a thread that looks again and again at what another one will write.
inline void pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns when ready() is true. After `spins` looks the thread offers its processor to others at each: the one that it waits for may have
// none.
template <typename Ready>
void spin_until(int spins, Ready&& ready) noexcept {
  for (int spin = 0; !ready(); ++spin) {
    if (spin < spins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace evenkeel
