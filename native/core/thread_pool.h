#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace evenkeel {

// The process's worker threads. One job at a time: a caller that finds them busy (another JavaScript thread is computing) does
// its tasks alone. Results do not depend on who runs a task, because tasks are cut by shape, never by the number of threads.
namespace thread_pool {

constexpr int kMaxThreads = 256;

// Threads that take part in a job, the calling one included.
int num_threads() noexcept;
// count: 1 to kMaxThreads. Waits for a job that is under way.
void set_num_threads(int count);

// Runs task(context, index) for every index in [0, count), in any order and on any thread, and returns when all have run.
void run(size_t count, void (*task)(void* context, size_t index), void* context) noexcept;

}  // namespace thread_pool

// Runs body(index) for every index in [0, count). The body must not throw.
template <typename Body>
void parallel_for(size_t count, Body&& body) noexcept {
  using Bare = std::remove_reference_t<Body>;
  thread_pool::run(
      count, [](void* context, size_t index) { (*static_cast<Bare*>(context))(index); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Runs body(begin, end) over [0, count) in ranges of `grain`, the last one shorter. The cut depends on count and grain alone.
template <typename Body>
void parallel_ranges(size_t count, size_t grain, Body&& body) noexcept {
  parallel_for((count + grain - 1) / grain, [&](size_t index) { body(index * grain, std::min(count, (index + 1) * grain)); });
}

}  // namespace evenkeel
