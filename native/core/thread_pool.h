#pragma once
#include <algorithm>
#include <atomic>
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

// Which tasks a thread begins with: those of an equal part, or a single one, after which it takes the next that nobody has taken. They are
// the same in each job, so that it finds in its own caches what it left there in the job before: the rows of its sequences, from one layer
// to the next.
enum class Deal { kEqualParts, kOneEach };

// Runs task(context, index) for every index in [0, count), in any order and on any thread, and returns when all have run.
void run(size_t count, void (*task)(void* context, size_t index), void* context, Deal deal) noexcept;

// Threads that work on one thing together, in rounds, and may wait for each other within a round: a thread joins only when already
// running, so no one waits for one that is not scheduled. The first leads, and begins alone where the system has not woken the others.
class Team {
 public:
  explicit Team(size_t most) noexcept : most_(static_cast<unsigned>(most)) {}

  // body(rank, size, newcomers) as of run_together
  template <typename Body>
  void take_part(Body& body) noexcept {
    const unsigned rank = come();
    if (rank > 0) {
      for (unsigned round = 0; (round = next_round(rank, round)) != kOver; finished_.fetch_add(1, std::memory_order_release)) {
        body(rank, size_of(round), [] { return false; });
      }
      return;
    }
    for (bool done = false; !done;) {
      const unsigned size = begin_round();
      done = body(rank, size, [this, size] { return came_.load(std::memory_order_relaxed) > size; });
      end_round(size);
    }
    round_.store(kOver, std::memory_order_release);
  }

 private:
  static constexpr unsigned kOver = ~0U;

  static constexpr unsigned kSizes = 2 * kMaxThreads;
  static unsigned size_of(unsigned round) noexcept { return round % kSizes; }

  unsigned come() noexcept;
  unsigned begin_round() noexcept;
  void end_round(unsigned size) noexcept;
  // Waits for a round after `last` that this rank takes part in, or kOver.
  unsigned next_round(unsigned rank, unsigned last) const noexcept;

  unsigned most_;
  std::atomic<unsigned> came_{0};
  std::atomic<unsigned> round_{0};  // the round's number times kSizes, plus its size
  std::atomic<unsigned> finished_{0};
};

}  // namespace thread_pool

// Runs body(index) for every index in [0, count). The body must not throw.
template <typename Body>
void parallel_for(size_t count, Body&& body, thread_pool::Deal deal = thread_pool::Deal::kEqualParts) noexcept {
  using Bare = std::remove_reference_t<Body>;
  thread_pool::run(
      count, [](void* context, size_t index) { (*static_cast<Bare*>(context))(index); }, const_cast<void*>(static_cast<const void*>(&body)),
      deal);
}

// The same where the first tasks take much longer than the others: no thread has two of them while another has none.
template <typename Body>
void parallel_longest_first(size_t count, Body&& body) noexcept {
  parallel_for(count, body, thread_pool::Deal::kOneEach);
}

// Runs body(begin, end) over [0, count) in ranges of `grain`, the last one shorter. The cut depends on count and grain alone.
template <typename Body>
void parallel_ranges(size_t count, size_t grain, Body&& body) noexcept {
  parallel_for((count + grain - 1) / grain, [&](size_t index) { body(index * grain, std::min(count, (index + 1) * grain)); });
}

// Runs body(rank, size, newcomers) at the same time for each rank in [0, size), on as many threads as are ready: at least this one, at most
// `most`. The bodies may wait for each other; how they share the work may depend on `size`, its result may not. It is run again until it
// returns true: where newcomers() is true it may return false before all is done, for a next round with more threads. What it returns to
// others than rank 0 does not matter.
template <typename Body>
void run_together(size_t most, Body&& body) noexcept {
  const size_t threads = std::min(most, static_cast<size_t>(thread_pool::num_threads()));
  thread_pool::Team team(threads);
  parallel_for(threads, [&](size_t) { team.take_part(body); });
}

}  // namespace evenkeel
