#pragma once
#include <cstddef>

// Which thread works on what, and when: recorded in a build with EVENKEEL_SPANS alone, for scripts/draw-timeline.mjs. In all others nothing
// is left of it.

#ifdef EVENKEEL_SPANS
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace evenkeel {

struct SpanRecord {
  const char* what;
  size_t piece;
  unsigned thread;
  long long begin, end;  // in nanoseconds
};

// Written to the file that the environment's EVENKEEL_SPANS names when the process ends: thread, begin, end, piece, what.
struct SpanLog {
  std::array<SpanRecord, size_t{1} << 17> records;
  std::atomic<size_t> count{0};
  std::atomic<unsigned> threads{0};

  ~SpanLog() {
    const char* path = std::getenv("EVENKEEL_SPANS");
    std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
    if (file == nullptr) return;
    for (size_t i = 0; i < count && i < records.size(); ++i) {
      const SpanRecord& r = records[i];
      std::fprintf(file, "%u %lld %lld %zu %s\n", r.thread, r.begin, r.end, r.piece, r.what);
    }
    std::fclose(file);
  }
};
inline SpanLog span_log;

class Span {
 public:
  Span(const char* what, size_t piece) noexcept : what_(what), piece_(piece), begin_(now()) {}
  ~Span() {
    thread_local const unsigned thread = span_log.threads++;
    const size_t at = span_log.count++;
    if (at < span_log.records.size()) span_log.records[at] = {what_, piece_, thread, begin_, now()};
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  static long long now() noexcept { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

  const char* what_;
  size_t piece_;
  long long begin_;
};

}  // namespace evenkeel
#else
namespace evenkeel {

struct Span {
  Span(const char* /*what*/, size_t /*piece*/) noexcept {}
};

}  // namespace evenkeel
#endif
