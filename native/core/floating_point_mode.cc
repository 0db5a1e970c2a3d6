#include "core/floating_point_mode.h"

#if defined(__SSE__) || defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace evenkeel {
namespace {

#if defined(__SSE__) || defined(__x86_64__)
constexpr unsigned kFlushToZero = 0x8000;
constexpr unsigned kDenormalsAreZero = 0x0040;

unsigned long long read_mode() noexcept { return _mm_getcsr(); }
void write_mode(unsigned long long mode) noexcept { _mm_setcsr(static_cast<unsigned>(mode)); }
unsigned long long flushing(unsigned long long mode) noexcept { return mode | kFlushToZero | kDenormalsAreZero; }
#elif defined(__aarch64__)
unsigned long long read_mode() noexcept {
  unsigned long long mode = 0;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void write_mode(unsigned long long mode) noexcept { asm volatile("msr fpcr, %0" : : "r"(mode)); }
unsigned long long flushing(unsigned long long mode) noexcept { return mode | (1ULL << 24); }
#else
unsigned long long read_mode() noexcept { return 0; }
void write_mode(unsigned long long) noexcept {}
unsigned long long flushing(unsigned long long mode) noexcept { return mode; }
#endif

}  // namespace

FlushDenormals::FlushDenormals() noexcept : saved_(read_mode()) { write_mode(flushing(saved_)); }

FlushDenormals::~FlushDenormals() { write_mode(saved_); }

}  // namespace evenkeel
