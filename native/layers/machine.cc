#include "layers/machine.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"

namespace evenkeel {
namespace {

constexpr int kRepeats = 5;
constexpr size_t kFmaRounds = 4'000'000;
constexpr size_t kGemmSize = 1024;
constexpr size_t kElements = size_t{32} << 20;  // 128 MiB in each of two arrays, beyond any cache that they should measure

size_t threads() noexcept { return static_cast<size_t>(thread_pool::num_threads()); }

// The best of several runs of run(thread) on every thread at once, in units of `amount` (of all threads) per nanosecond. A limit is what
// the machine can do at all, hence the best and not the median.
template <typename Run>
double best_rate(double amount, Run&& run) {
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(threads(), run);
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, amount / elapsed.count());
  }
  return best;
}

double fma_rate() {
  const AlignedBuffer<float> sinks(threads() * 16);
  const double per_thread = kernels<float>().fma_chains(1, sinks.get()) * kFmaRounds;
  return best_rate(per_thread * static_cast<double>(threads()),
                   [&](size_t thread) { kernels<float>().fma_chains(kFmaRounds, sinks.get() + thread * 16); });
}

double gemm_rate() {
  constexpr size_t n = kGemmSize;
  const AlignedBuffer<float> inputs(2 * n * n);
  const AlignedBuffer<float> outputs(threads() * n * n);
  for (size_t i = 0; i < 2 * n * n; ++i) inputs.get()[i] = static_cast<float>(i % 17) * 0.1F;
  return best_rate(2.0 * n * n * n * static_cast<double>(threads()), [&](size_t thread) {
    gemm::multiply(n, n, n, inputs.get(), n, inputs.get() + n * n, n, 0.0F, outputs.get() + thread * n * n, n);
  });
}

// Rates of reading, and of copying, in bytes per nanosecond.
void memory_rates(MachineLimits& limits) {
  const AlignedBuffer<float> source(kElements);
  const AlignedBuffer<float> target(kElements);
  const AlignedBuffer<float> sinks(threads() * 16);
  const size_t part = kElements / threads();
  std::fill_n(source.get(), kElements, 1.0F);
  std::fill_n(target.get(), kElements, 0.0F);
  const double bytes = static_cast<double>(part * threads() * sizeof(float));
  limits.read_gb_per_s =
      best_rate(bytes, [&](size_t thread) { sinks.get()[thread * 16] = kernels<float>().sum(part, source.get() + thread * part); });
  limits.copy_gb_per_s = best_rate(
      2 * bytes, [&](size_t thread) { std::memcpy(target.get() + thread * part, source.get() + thread * part, part * sizeof(float)); });
}

}  // namespace

MachineLimits measure_machine_limits() {
  MachineLimits limits{.fma_gflops = fma_rate(), .gemm_gflops = gemm_rate(), .read_gb_per_s = 0, .copy_gb_per_s = 0};
  memory_rates(limits);
  return limits;
}

}  // namespace evenkeel
