#pragma once
#include <atomic>
#include <new>

#include "core/thread_pool.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// Makes two passes over as many sequences: at the same time, a thread each, where more threads than that would find little to do in either,
// else one after the other, each on all threads. The results are the same bits.   Throws what the passes throw.
template <typename First, typename Second>
void run_together_where_faster(const RecurrentShape& shape, First&& first, Second&& second) {
  constexpr size_t kFewSequences = 16;
  if (thread_pool::num_threads() > 2 && shape.n > kFewSequences) {
    first();
    second();
    return;
  }
  std::atomic<bool> failed{false};
  parallel_for(2, [&](size_t index) {
    try {
      index == 0 ? first() : second();
    } catch (const std::bad_alloc&) {
      failed.store(true, std::memory_order_relaxed);
    }
  });
  if (failed.load(std::memory_order_relaxed)) throw std::bad_alloc();
}

}  // namespace evenkeel
