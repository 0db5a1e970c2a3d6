#pragma once

namespace evenkeel {

// Flushes denormal numbers to zero while it lives, and restores the caller's mode afterwards. A vanishing backward pass is
// full of denormals, and on many CPUs an operation on one costs a hundred times a normal one.
class FlushDenormals {
 public:
  FlushDenormals() noexcept;
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned long long saved_;
};

}  // namespace evenkeel
