#pragma once

namespace evenkeel {

// What this machine can do in float32 with the threads in use: the floor that a benchmark measures times against.
struct MachineLimits {
  double fma_gflops;     // multiply-adds in registers
  double gemm_gflops;    // OpenBLAS's best square product, one on each thread
  double read_gb_per_s;  // reading memory beyond the caches
  double copy_gb_per_s;  // copying it, bytes read plus bytes written
};

// Takes about a second. Throws std::bad_alloc.
MachineLimits measure_machine_limits();

}  // namespace evenkeel
