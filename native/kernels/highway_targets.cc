// The three functions of Highway's run-time dispatch that live in its library, which Debian does not ship in static form. They also
// give tests their say: EVENKEEL_SIMD forces one target.
#include <strings.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "hwy/highway.h"
#include "kernels/kernels.h"

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

bool cpu_has(int64_t target) {
#if HWY_ARCH_X86
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
                    __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
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
  const char* forced = std::getenv("EVENKEEL_SIMD");
  if (forced == nullptr || *forced == '\0') return *available.front();
  std::string names;
  for (const Target* target : available) {
    if (strcasecmp(forced, target->name) == 0) return *target;
    names += names.empty() ? "" : ", ";
    names += target->name;
  }
  throw std::invalid_argument(std::string("EVENKEEL_SIMD: expected one of ") + names + ", got \"" + std::string(forced).substr(0, 40) +
                              "\".");
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
