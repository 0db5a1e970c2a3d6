#include "core/thread_pool.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/floating_point_mode.h"
#include "core/sleep.h"
#include "core/spin.h"

namespace evenkeel::thread_pool {
namespace {

// Steps of a training loop follow each other within microseconds: a worker that spins for about 30 of them before it sleeps
// meets most jobs awake, and an idle process still uses no CPU.
constexpr int kSpins = 8000;

// Whether this thread is in a task: a job that the task starts has no threads left but this one.
thread_local bool in_task = false;

class Pool {
 public:
  explicit Pool(int threads) : shares_(static_cast<size_t>(threads)), calls_(shares_.size()) {
    try {
      for (size_t rank = 1; rank < shares_.size(); ++rank) workers_.emplace_back([this, rank] { work(rank); });
    } catch (const std::system_error&) {
      // The system grants no more threads: those that started, and the caller, do the work.
    }
  }

  ~Pool() {
    stop_.store(true, std::memory_order_relaxed);
    call(shares_.size());
    for (std::thread& worker : workers_) worker.join();
  }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void run(size_t count, void (*task)(void*, size_t), void* context, Deal deal) noexcept {
    task_ = task;
    context_ = context;
    // A job of few tasks is for the first threads alone: the others go on sleeping.
    size_ = std::min(count, shares_.size());
    size_t begin = 0;
    for (size_t rank = 0; rank < size_; ++rank) {
      size_t end = count;
      if (rank + 1 < size_) end = deal == Deal::kEqualParts ? count * (rank + 1) / size_ : rank + 1;
      shares_[rank].next.store(begin, std::memory_order_relaxed);
      shares_[rank].end = end;
      begin = end;
    }
    gate_.store(kOpen, std::memory_order_release);
    call(size_);
    in_task = true;
    take_tasks(0);
    in_task = false;
    // Nobody joins through a closed gate, so only workers that did join are waited for: one that the system has not woken yet
    // costs nothing.
    gate_.fetch_and(~kOpen, std::memory_order_relaxed);
    spin_until(kSpins, [this] { return gate_.load(std::memory_order_acquire) == 0; });
  }

 private:
  // The tasks [next, end) of a job that one thread begins with.
  struct alignas(64) Share {
    std::atomic<size_t> next{0};
    size_t end = 0;

    size_t take() noexcept { return next.fetch_add(1, std::memory_order_relaxed); }
  };

  // The gate of a job: this bit while tasks may be left, and below it the number of workers inside.
  static constexpr unsigned kOpen = 1U << 31;

  // Where a worker waits to be called.
  struct alignas(64) Call {
    std::atomic<unsigned> number{0};
    std::atomic<bool> asleep{false};
  };

  // The workers of the first `size` threads. To wake one takes the system, and is left out for those that are awake: either the worker sees
  // the new number before it sleeps, or this sees that it is asleep, since all four accesses are in one order.
  void call(size_t size) noexcept {
    for (size_t rank = 1; rank < size; ++rank) {
      calls_[rank].number.fetch_add(1, std::memory_order_seq_cst);
      if (calls_[rank].asleep.load(std::memory_order_seq_cst)) wake_one(calls_[rank].number);
    }
  }

  // Returns the number of the next call after `seen`.
  static unsigned wait_for_call(Call& mine, unsigned seen) noexcept {
    for (int spin = 0; spin < kSpins && mine.number.load(std::memory_order_acquire) == seen; ++spin) pause();
    mine.asleep.store(true, std::memory_order_seq_cst);
    sleep_while(mine.number, seen);
    mine.asleep.store(false, std::memory_order_relaxed);
    return mine.number.load(std::memory_order_acquire);
  }

  bool join() noexcept {
    unsigned gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) != 0) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  // Of its own share first, then of others', who may be late.
  void take_tasks(size_t rank) noexcept {
    for (size_t i = 0; i < size_; ++i) {
      Share& share = shares_[(rank + i) % size_];
      for (size_t index = share.take(); index < share.end; index = share.take()) task_(context_, index);
    }
  }

  void work(size_t rank) noexcept {
    const FlushDenormals flush;
    in_task = true;
    for (unsigned seen = 0;;) {
      seen = wait_for_call(calls_[rank], seen);
      if (stop_.load(std::memory_order_relaxed)) return;
      if (!join()) continue;
      take_tasks(rank);
      gate_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<Share> shares_;  // of the caller and of each worker
  std::vector<Call> calls_;    // likewise; nobody calls the caller
  std::vector<std::thread> workers_;
  void (*task_)(void*, size_t) = nullptr;
  void* context_ = nullptr;
  size_t size_ = 0;  // of the job: how many threads have a share
  std::atomic<unsigned> gate_{0};
  std::atomic<bool> stop_{false};
};

int default_threads() noexcept { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads); }

std::atomic<int> wanted_threads{default_threads()};
std::mutex job_mutex;
// Made at the first job that needs it, guarded by job_mutex. Not a static itself: Windows ends all other threads before it destroys
// statics, wherever they are, and nothing is left to be joined.
std::unique_ptr<Pool>& pool = *new std::unique_ptr<Pool>;

#if !defined(_WIN32)
void join_all() {
  const std::lock_guard lock(job_mutex);
  pool.reset();
}
#endif

void run_alone(size_t count, void (*task)(void*, size_t), void* context) noexcept {
  for (size_t index = 0; index < count; ++index) task(context, index);
}

}  // namespace

int num_threads() noexcept { return wanted_threads.load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  const std::lock_guard lock(job_mutex);
  if (count == wanted_threads.load(std::memory_order_relaxed)) return;
  wanted_threads.store(count, std::memory_order_relaxed);
  pool.reset();
}

void run(size_t count, void (*task)(void*, size_t), void* context, Deal deal) noexcept {
  if (count <= 1 || num_threads() == 1 || in_task) return run_alone(count, task, context);
  const std::unique_lock lock(job_mutex, std::try_to_lock);
  if (!lock.owns_lock()) return run_alone(count, task, context);
  if (!pool) {
#if !defined(_WIN32)
    // process.exit() runs neither cleanup hooks nor finalizers; threads that outlive the library's statics crash the process.
    static const int registered = std::atexit(join_all);
    static_cast<void>(registered);
#endif
    try {
      pool = std::make_unique<Pool>(num_threads());
    } catch (const std::bad_alloc&) {
      return run_alone(count, task, context);
    }
  }
  pool->run(count, task, context, deal);
}

// A moment is enough for a worker that is awake. One that wakes later joins the next round.
unsigned Team::come() noexcept {
  constexpr int kMoment = 60;
  const unsigned rank = came_.fetch_add(1, std::memory_order_relaxed);
  for (int spin = 0; rank == 0 && spin < kMoment && came_.load(std::memory_order_relaxed) < most_; ++spin) pause();
  return rank;
}

unsigned Team::begin_round() noexcept {
  const unsigned size = came_.load(std::memory_order_relaxed);
  const unsigned number = round_.load(std::memory_order_relaxed) / kSizes + 1;
  finished_.store(0, std::memory_order_relaxed);
  round_.store(number * kSizes + size, std::memory_order_release);
  return size;
}

void Team::end_round(unsigned size) noexcept {
  spin_until(kSpins, [&] { return finished_.load(std::memory_order_acquire) == size - 1; });
}

unsigned Team::next_round(unsigned rank, unsigned last) const noexcept {
  unsigned round = 0;
  spin_until(kSpins, [&] {
    round = round_.load(std::memory_order_acquire);
    return round == kOver || (round != last && rank < size_of(round));
  });
  return round;
}

}  // namespace evenkeel::thread_pool
