// The three functions of Highway's run-time dispatch that live in its library, which Debian does not ship in static form. They also
// give tests their say: EVENKEEL_SIMD forces one target.
#include <strings.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "core/environment.h"
#include "hwy/highway.h"
#include "kernels/kernels.h"

#if HWY_ARCH_X86
#include <cpuid.h>
#endif

namespace evenkeel::simd {
namespace {

struct Target {
  int64_t bit;
  const char* name;
};

// Best first; the static target, which runs on any CPU that can load this addon, is last.
constexpr Target kTargets[] = {
#if HWY_ARCH_X86
    {HWY_AVX3, "avx512"},
    {HWY_AVX2, "avx2"},
    {HWY_SSE4, "sse4"},
#endif
    // Newer versions of Highway tell two kinds of NEON apart.
    {HWY_STATIC_TARGET, HWY_ARCH_ARM != 0 && HWY_STATIC_TARGET != HWY_SCALAR ? "neon" : "baseline"},
};

#if HWY_ARCH_X86
// What the processor has and the system saves of it. Compilers have __builtin_cpu_supports for that, which needs a runtime library that not
// all bring.
class Processor {
 public:
  Processor() {
    unsigned ignored = 0;
    __get_cpuid(1, &ignored, &ignored, &leaf1_ecx_, &ignored);
    __get_cpuid_count(7, 0, &ignored, &leaf7_ebx_, &ignored, &ignored);
    if (has1(27)) saved_ = saved_registers();
  }
  // Bits of CPUID's leaves 1 (ECX) and 7 (EBX), by Intel's numbers.
  bool has1(int bit) const { return (leaf1_ecx_ >> bit & 1) != 0; }
  bool has7(int bit) const { return (leaf7_ebx_ >> bit & 1) != 0; }
  bool saves(unsigned registers) const { return (saved_ & registers) == registers; }

 private:
  static unsigned saved_registers() {
    unsigned low = 0;
    unsigned high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
  }
  unsigned leaf1_ecx_ = 0;
  unsigned leaf7_ebx_ = 0;
  unsigned saved_ = 0;
};
#endif

bool cpu_has(int64_t target) {
#if HWY_ARCH_X86
  static const Processor cpu;
  // SSSE3, PCLMULQDQ, SSE4.1, SSE4.2, AES
  const bool sse4 = cpu.has1(9) && cpu.has1(1) && cpu.has1(19) && cpu.has1(20) && cpu.has1(25);
  // XMM and YMM; AVX, FMA; BMI1, AVX2, BMI2
  const bool avx2 = sse4 && cpu.saves(0x06) && cpu.has1(28) && cpu.has1(12) && cpu.has7(3) && cpu.has7(5) && cpu.has7(8);
  // Masks and ZMM; AVX-512 F, DQ, CD, BW, VL
  const bool avx3 = avx2 && cpu.saves(0xE6) && cpu.has7(16) && cpu.has7(17) && cpu.has7(28) && cpu.has7(30) && cpu.has7(31);
  if (target == HWY_SSE4) return sse4;
  if (target == HWY_AVX2) return avx2;
  if (target == HWY_AVX3) return avx3;
#endif
  return target == HWY_STATIC_TARGET;
}

std::vector<const Target*> available_targets() {
  std::vector<const Target*> found;
  for (const Target& target : kTargets) {
    if ((HWY_TARGETS & target.bit) != 0 && cpu_has(target.bit)) found.push_back(&target);
  }
  return found;
}

const Target& choose_target() {
  const std::vector<const Target*> available = available_targets();
  const std::optional<std::string> forced = environment("EVENKEEL_SIMD");
  if (!forced) return *available.front();
  std::string names;
  for (const Target* target : available) {
    if (strcasecmp(forced->c_str(), target->name) == 0) return *target;
    names += names.empty() ? "" : ", ";
    names += target->name;
  }
  throw std::invalid_argument(std::string("EVENKEEL_SIMD: expected one of ") + names + ", got \"" + forced->substr(0, 40) + "\".");
}

const Target& chosen_target() {
  static const Target& target = choose_target();
  return target;
}

}  // namespace

const char* target_name() { return chosen_target().name; }

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const Target* target : available_targets()) names.emplace_back(target->name);
  return names;
}

}  // namespace evenkeel::simd

namespace hwy {

// Whatever is forced or detected, Highway falls back on the static target where a table has no such entry.
int64_t SupportedTargets() { return evenkeel::simd::chosen_target().bit | HWY_STATIC_TARGET; }

void DisableTargets(int64_t) {}

void SetSupportedTargetsForTest(int64_t) {}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
