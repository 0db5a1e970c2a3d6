#include <atomic>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "binding/arguments.h"
#include "binding/file_lock.h"
#include "core/environment.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "layers/machine.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel::binding {
namespace {

// Whether somebody chose the number of threads, in the environment or by a call.
std::atomic<bool>& threads_are_chosen() {
  static std::atomic<bool> chosen{false};
  return chosen;
}

Napi::Value set_num_threads(const Arguments& arguments) {
  thread_pool::set_num_threads(static_cast<int>(arguments.integer(0, "count", 1, thread_pool::kMaxThreads)));
  threads_are_chosen() = true;
  return arguments.env().Undefined();
}

// The default, which the first to load the addon in this process knows: neither the environment's number nor a later call gives way to it.
Napi::Value set_default_threads(const Arguments& arguments) {
  const auto count = static_cast<int>(arguments.integer(0, "count", 1, thread_pool::kMaxThreads));
  static std::once_flag once;
  std::call_once(once, [count] {
    if (!threads_are_chosen()) thread_pool::set_num_threads(count);
  });
  return arguments.env().Undefined();
}

Napi::Value get_num_threads(const Arguments& arguments) { return Napi::Number::New(arguments.env(), thread_pool::num_threads()); }

Napi::Value runtime_info(const Arguments& arguments) {
  const Napi::Env env = arguments.env();
  Napi::Object info = Napi::Object::New(env);
  const std::vector<std::string> targets = simd::target_names();
  Napi::Array names = Napi::Array::New(env, targets.size());
  for (uint32_t i = 0; i < targets.size(); ++i) names.Set(i, targets[i]);
  info.Set("simdTarget", simd::target_name());
  info.Set("simdTargets", names);
  info.Set("blas", gemm::description());
  return info;
}

// Whether this open file description got the exclusive lock; it goes with the description's last descriptor.
Napi::Value lock_file(const Arguments& arguments) {
  const int descriptor = static_cast<int>(arguments.integer(0, "descriptor", 0, std::numeric_limits<int>::max()));
  try {
    return Napi::Boolean::New(arguments.env(), try_lock(descriptor));
  } catch (const std::runtime_error& error) {
    fail(arguments.env(), "ERR_NATIVE", error.what());
  }
}

// Where an array begins. What another handle of the same SharedArrayBuffer views cannot be told otherwise.
Napi::Value address_of(const Arguments& arguments) {
  return with_element_type(arguments, 0, "array", [&](auto zero) {
    const auto* elements = arguments.array<decltype(zero)>(0, "array", arguments.length(0, "array"));
    return Napi::Number::New(arguments.env(), static_cast<double>(reinterpret_cast<uintptr_t>(elements)));
  });
}

Napi::Value measure_machine(const Arguments& arguments) {
  const MachineLimits limits = measure_machine_limits();
  Napi::Object result = Napi::Object::New(arguments.env());
  result.Set("fmaGflops", limits.fma_gflops);
  result.Set("gemmGflops", limits.gemm_gflops);
  result.Set("readGBs", limits.read_gb_per_s);
  result.Set("copyGBs", limits.copy_gb_per_s);
  return result;
}

int threads_from_environment(const std::string& text) {
  char* end = nullptr;
  const long count = std::strtol(text.c_str(), &end, 10);
  if (end == text.c_str() || *end != '\0' || count < 1 || count > thread_pool::kMaxThreads) {
    throw std::invalid_argument("EVENKEEL_NUM_THREADS: expected an integer from 1 to " + std::to_string(thread_pool::kMaxThreads) +
                                ", got \"" + text.substr(0, 40) + "\".");
  }
  return static_cast<int>(count);
}

void scan_strategy_from_environment() {
  const std::optional<std::string> name = environment("EVENKEEL_SCAN");
  if (!name) return;
  try {
    force_scan_strategy(name->c_str());
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string("EVENKEEL_SCAN: ") + error.what());
  }
}

// Once per process, however many JavaScript threads load the addon: a later one must not undo a call of setNumThreads.
void initialize_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (!gemm::has_kernels()) {
      throw std::runtime_error(
          "This processor has neither SSE3 nor 3DNow!, of which OpenBLAS needs one, and of which each of x86-64 has one. "
          "Where a virtual machine hides it, give it another model of processor, such as the host's.");
    }
    gemm::initialize();
    simd::target_name();
    if (const std::optional<std::string> threads = environment("EVENKEEL_NUM_THREADS")) {
      thread_pool::set_num_threads(threads_from_environment(*threads));
      threads_are_chosen() = true;
    }
    scan_strategy_from_environment();
  });
}

}  // namespace

void register_runtime(Napi::Object exports) {
  try {
    initialize_process();
  } catch (const std::invalid_argument& error) {
    fail(exports.Env(), "ERR_OPTION", error.what());
  } catch (const std::runtime_error& error) {
    fail(exports.Env(), "ERR_NATIVE", error.what());
  }
  exports.Set("version", EVENKEEL_VERSION);
  add_function<set_num_threads>(exports, "setNumThreads");
  add_function<set_default_threads>(exports, "setDefaultThreads");
  add_function<get_num_threads>(exports, "getNumThreads");
  add_function<runtime_info>(exports, "runtimeInfo");
  add_function<lock_file>(exports, "lockFile");
  add_function<address_of>(exports, "addressOf");
  add_function<measure_machine>(exports, "measureMachine");
}

}  // namespace evenkeel::binding
