// An addon for Linux that loads one for macOS of the same processor, and plays what macOS has for it: the loader, and the part of libSystem
// that it asks for. Both systems call functions alike on x86-64; on ARM but for the arguments of a `...`, which macOS puts on the stack. So
// the very instructions of the binary are run. What differs and matters is said where it is played; what is not played stops the process
// with its name.
//   EVENKEEL_MACH_O     the binary for macOS
//   EVENKEEL_UNWINDER   LLVM's libunwind for macOS, which the system has in libSystem
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

// --- of libSystem, where Linux has it otherwise ---

// Mutexes and the like begin with a signature there; what follows it is free for Linux's, which are zero at first as those are.
template <typename T>
T* after_signature(void* object) {
  return reinterpret_cast<T*>(static_cast<char*>(object) + 8);
}

int play_mutex_init(void* mutex, const pthread_mutexattr_t* attributes) {
  return pthread_mutex_init(after_signature<pthread_mutex_t>(mutex), attributes);
}
int play_mutex_lock(void* mutex) { return pthread_mutex_lock(after_signature<pthread_mutex_t>(mutex)); }
int play_mutex_trylock(void* mutex) { return pthread_mutex_trylock(after_signature<pthread_mutex_t>(mutex)); }
int play_mutex_unlock(void* mutex) { return pthread_mutex_unlock(after_signature<pthread_mutex_t>(mutex)); }
int play_mutex_destroy(void* mutex) { return pthread_mutex_destroy(after_signature<pthread_mutex_t>(mutex)); }
int play_once(void* once, void (*function)()) { return pthread_once(after_signature<pthread_once_t>(once), function); }

int play_rwlock_rdlock(void* lock) { return pthread_rwlock_rdlock(after_signature<pthread_rwlock_t>(lock)); }
int play_rwlock_wrlock(void* lock) { return pthread_rwlock_wrlock(after_signature<pthread_rwlock_t>(lock)); }
int play_rwlock_unlock(void* lock) { return pthread_rwlock_unlock(after_signature<pthread_rwlock_t>(lock)); }

// Linux's is too large: made at its first use, elsewhere.
pthread_cond_t* condition(void* object) {
  auto** place = after_signature<pthread_cond_t*>(object);
  pthread_cond_t* found = __atomic_load_n(place, __ATOMIC_ACQUIRE);
  if (found != nullptr) return found;
  auto* made = new pthread_cond_t PTHREAD_COND_INITIALIZER;
  if (__atomic_compare_exchange_n(place, &found, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
  delete made;
  return found;
}
int play_cond_init(void* object, const void*) {
  *after_signature<pthread_cond_t*>(object) = nullptr;
  return 0;
}
int play_cond_wait(void* object, void* mutex) { return pthread_cond_wait(condition(object), after_signature<pthread_mutex_t>(mutex)); }
int play_cond_timedwait(void* object, void* mutex, const timespec* until) {
  const int error = pthread_cond_timedwait(condition(object), after_signature<pthread_mutex_t>(mutex), until);
  return error == ETIMEDOUT ? 60 : error;
}
int play_cond_signal(void* object) { return pthread_cond_signal(condition(object)); }
int play_cond_broadcast(void* object) { return pthread_cond_broadcast(condition(object)); }
int play_cond_destroy(void* object) {
  delete *after_signature<pthread_cond_t*>(object);
  *after_signature<pthread_cond_t*>(object) = nullptr;
  return 0;
}

int play_key_create(uint64_t* key, void (*destroy)(void*)) {
  pthread_key_t made = 0;
  const int error = pthread_key_create(&made, destroy);
  *key = made;
  return error;
}
void* play_getspecific(uint64_t key) { return pthread_getspecific(static_cast<pthread_key_t>(key)); }
int play_setspecific(uint64_t key, const void* value) { return pthread_setspecific(static_cast<pthread_key_t>(key), value); }
uint32_t play_mach_thread_np(pthread_t) { return static_cast<uint32_t>(gettid()); }
int play_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) {
  const int error = pthread_create(thread, attributes, function, argument);
  return error == EAGAIN ? 35 : error;
}

int play_clock_gettime(int clock, timespec* time) {
  constexpr int kReal = 0;
  return clock_gettime(clock == kReal ? CLOCK_REALTIME : CLOCK_MONOTONIC, time);
}

long play_sysconf(int name) {
  switch (name) {
    case 29:
      return sysconf(_SC_PAGESIZE);
    case 57:
      return sysconf(_SC_NPROCESSORS_CONF);
    case 58:
      return sysconf(_SC_NPROCESSORS_ONLN);
    default:
      errno = EINVAL;
      return -1;
  }
}

// Of CTL_HW the number of processors.
int play_sysctl(const int* name, unsigned, void* value, size_t* size, void*, size_t) {
  if (name[0] != 6 || (name[1] != 3 && name[1] != 25) || *size < sizeof(int)) {
    errno = ENOENT;
    return -1;
  }
  *static_cast<int*>(value) = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  *size = sizeof(int);
  return 0;
}
int play_sysctlbyname(const char* name, void* value, size_t* size, void*, size_t) {
  constexpr int kNumberOfProcessors[] = {6, 25};
  constexpr int kOther[] = {0, 0};
  const bool is_number = strcmp(name, "hw.ncpu") == 0 || strcmp(name, "hw.physicalcpu") == 0 || strcmp(name, "hw.logicalcpu") == 0;
  return play_sysctl(is_number ? kNumberOfProcessors : kOther, 2, value, size, nullptr, 0);
}

int play_getrlimit(int resource, rlimit* limit) {
  constexpr int kProcesses = 7;
  if (resource == kProcesses) return getrlimit(RLIMIT_NPROC, limit);
  errno = EINVAL;
  return -1;
}

void* play_mmap(void* address, size_t size, int rights, int flags, int file, off_t offset) {
  constexpr int kAnonymous = 0x1000;
  const int known = MAP_SHARED | MAP_PRIVATE | MAP_FIXED;
  return mmap(address, size, rights, (flags & known) | ((flags & kAnonymous) != 0 ? MAP_ANONYMOUS : 0), file, offset);
}

int play_flock(int file, int operation) {
  const int result = flock(file, operation);
  if (result != 0 && errno == EWOULDBLOCK) errno = 35;
  return result;
}

void* play_dlopen(const char* file, int mode) {
  constexpr int kNoLoad = 0x10;
  constexpr int kNoDelete = 0x80;
  return dlopen(file, ((mode & 1) != 0 ? RTLD_LAZY : RTLD_NOW) | ((mode & kNoLoad) != 0 ? RTLD_NOLOAD : 0) |
                          ((mode & kNoDelete) != 0 ? RTLD_NODELETE : 0));
}
// This addon stands for the one that it loads.
int play_dladdr(const void*, Dl_info* info) { return dladdr(reinterpret_cast<const void*>(&play_dlopen), info); }

// libc++ waits on the low half of a number of 64 bits.
int play_ulock_wait(uint32_t, void* address, uint64_t value, uint32_t microseconds) {
  const timespec limit = {static_cast<time_t>(microseconds / 1'000'000), static_cast<long>(microseconds % 1'000'000) * 1000};
  return static_cast<int>(
      syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, static_cast<uint32_t>(value), microseconds == 0 ? nullptr : &limit, nullptr, 0));
}
int play_ulock_wake(uint32_t operation, void* address, uint64_t) {
  constexpr uint32_t kAll = 0x100;
  return static_cast<int>(syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, (operation & kAll) != 0 ? INT32_MAX : 1, nullptr, nullptr, 0));
}

void play_memset_pattern16(void* target, const void* pattern, size_t size) {
  for (size_t i = 0; i < size; ++i) static_cast<char*>(target)[i] = static_cast<const char*>(pattern)[i % 16];
}

int play_strerror_r(int error, char* text, size_t size) {
  snprintf(text, size, "error %d", error);
  return 0;
}

struct Pair {
  double sine, cosine;
};
Pair play_sincos(double x) { return {__builtin_sin(x), __builtin_cos(x)}; }

[[noreturn]] void play_assert(const char* function, const char* file, int line, const char* text) {
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, function, text);
  abort();
}

// The arguments of a `...`.
#if defined(__aarch64__)
struct LinuxList {
  void *stack, *general_top, *vector_top;
  int general_offset, vector_offset;
};
static_assert(sizeof(LinuxList) == sizeof(va_list));
void on_stack(va_list& list) { reinterpret_cast<LinuxList&>(list).general_offset = reinterpret_cast<LinuxList&>(list).vector_offset = 0; }
using GivenList = void*;
va_list& list_of(va_list& list, GivenList given) {
  reinterpret_cast<LinuxList&>(list) = {given, nullptr, nullptr, 0, 0};
  return list;
}
#else
void on_stack(va_list&) {}
using GivenList = std::remove_reference_t<decltype(std::declval<va_list>()[0])>*;
GivenList list_of(va_list&, GivenList given) { return given; }
#endif
int play_snprintf(char* text, size_t size, const char* format, ...) {
  va_list list;
  va_start(list, format);
  on_stack(list);
  const int result = vsnprintf(text, size, format, list);
  va_end(list);
  return result;
}
int play_sprintf(char* text, const char* format, ...) {
  va_list list;
  va_start(list, format);
  on_stack(list);
  const int result = vsprintf(text, format, list);
  va_end(list);
  return result;
}
int play_sprintf_chk(char* text, int, size_t size, const char* format, ...) {
  va_list list;
  va_start(list, format);
  on_stack(list);
  const int result = vsnprintf(text, size, format, list);
  va_end(list);
  return result;
}
int play_fprintf(FILE* file, const char* format, ...) {
  va_list list;
  va_start(list, format);
  on_stack(list);
  const int result = vfprintf(file, format, list);
  va_end(list);
  return result;
}
int play_printf(const char* format, ...) {
  va_list list;
  va_start(list, format);
  on_stack(list);
  const int result = vprintf(format, list);
  va_end(list);
  return result;
}
int play_vsnprintf(char* text, size_t size, const char* format, GivenList given) {
  va_list list;
  return vsnprintf(text, size, format, list_of(list, given));
}
int play_vfprintf(FILE* file, const char* format, GivenList given) {
  va_list list;
  return vfprintf(file, format, list_of(list, given));
}

FILE* standard_output = stdout;
FILE* standard_error = stderr;
uintptr_t guard = 0x57AC'C0DE'0A0D'0035;
// The table of characters' kinds, which locales are made of, and nothing here looks into.
char rune_locale[4096];

[[noreturn]] void play_chk_fail() {
  fputs("stack smashing detected in the binary for macOS\n", stderr);
  abort();
}

// --- variables of threads: a descriptor has a function that finds them, a key and an offset ---

extern "C" {
__attribute__((tls_model("initial-exec"), visibility("hidden"))) thread_local char* evenkeel_thread_block = nullptr;
__attribute__((visibility("hidden"))) char* evenkeel_make_thread_block();
void evenkeel_thread_variable();
}
const char* thread_template = nullptr;
size_t thread_template_size = 0;
size_t thread_block_size = 0;

// Nothing but the result may be changed.
#if defined(__x86_64__)
asm(R"(
.text
.hidden evenkeel_thread_variable
.globl evenkeel_thread_variable
evenkeel_thread_variable:
  movq evenkeel_thread_block@gottpoff(%rip), %rax
  movq %fs:(%rax), %rax
  testq %rax, %rax
  je 1f
  addq 16(%rdi), %rax
  ret
1:
  pushq %rbp
  movq %rsp, %rbp
  pushq %rdi; pushq %rsi; pushq %rdx; pushq %rcx; pushq %r8; pushq %r9; pushq %r10; pushq %r11
  andq $-16, %rsp
  call evenkeel_make_thread_block
  leaq -64(%rbp), %rsp
  popq %r11; popq %r10; popq %r9; popq %r8; popq %rcx; popq %rdx; popq %rsi; popq %rdi
  popq %rbp
  addq 16(%rdi), %rax
  ret
)");
#elif defined(__aarch64__)
asm(R"(
.text
.hidden evenkeel_thread_variable
.globl evenkeel_thread_variable
evenkeel_thread_variable:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  mrs x16, tpidr_el0
  adrp x17, :gottprel:evenkeel_thread_block
  ldr x17, [x17, :gottprel_lo12:evenkeel_thread_block]
  ldr x16, [x16, x17]
  cbnz x16, 1f
  stp x0, x1, [sp, #-16]!
  stp x2, x3, [sp, #-16]!
  stp x4, x5, [sp, #-16]!
  stp x6, x7, [sp, #-16]!
  stp x8, x9, [sp, #-16]!
  stp x10, x11, [sp, #-16]!
  stp x12, x13, [sp, #-16]!
  stp x14, x15, [sp, #-16]!
  stp q0, q1, [sp, #-32]!
  stp q2, q3, [sp, #-32]!
  stp q4, q5, [sp, #-32]!
  stp q6, q7, [sp, #-32]!
  stp q8, q9, [sp, #-32]!
  stp q10, q11, [sp, #-32]!
  stp q12, q13, [sp, #-32]!
  stp q14, q15, [sp, #-32]!
  stp q16, q17, [sp, #-32]!
  stp q18, q19, [sp, #-32]!
  stp q20, q21, [sp, #-32]!
  stp q22, q23, [sp, #-32]!
  stp q24, q25, [sp, #-32]!
  stp q26, q27, [sp, #-32]!
  stp q28, q29, [sp, #-32]!
  stp q30, q31, [sp, #-32]!
  bl evenkeel_make_thread_block
  mov x16, x0
  ldp q30, q31, [sp], #32
  ldp q28, q29, [sp], #32
  ldp q26, q27, [sp], #32
  ldp q24, q25, [sp], #32
  ldp q22, q23, [sp], #32
  ldp q20, q21, [sp], #32
  ldp q18, q19, [sp], #32
  ldp q16, q17, [sp], #32
  ldp q14, q15, [sp], #32
  ldp q12, q13, [sp], #32
  ldp q10, q11, [sp], #32
  ldp q8, q9, [sp], #32
  ldp q6, q7, [sp], #32
  ldp q4, q5, [sp], #32
  ldp q2, q3, [sp], #32
  ldp q0, q1, [sp], #32
  ldp x14, x15, [sp], #16
  ldp x12, x13, [sp], #16
  ldp x10, x11, [sp], #16
  ldp x8, x9, [sp], #16
  ldp x6, x7, [sp], #16
  ldp x4, x5, [sp], #16
  ldp x2, x3, [sp], #16
  ldp x0, x1, [sp], #16
1:
  ldr x17, [x0, #16]
  add x0, x16, x17
  ldp x29, x30, [sp], #16
  ret
)");
#endif

extern "C" int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
extern "C" void* __dso_handle;
void play_tlv_atexit(void (*function)(void*), void* object) { __cxa_thread_atexit_impl(function, object, &__dso_handle); }

// --- the loader ---

struct Image {
  char* base = nullptr;
  size_t size = 0;
  std::map<std::string, char*> exports;
  const char* unwind = nullptr;
  size_t unwind_size = 0;
  const char* frames = nullptr;
  size_t frames_size = 0;
};
std::vector<Image*> images;

struct UnwindSections {
  const void* header;
  const void* frames;
  uintptr_t frames_size;
  const void* unwind;
  uintptr_t unwind_size;
};
bool play_find_unwind_sections(const void* address, UnwindSections* found) {
  for (const Image* image : images) {
    if (address < image->base || address >= image->base + image->size) continue;
    *found = {image->base, image->frames, image->frames_size, image->unwind, image->unwind_size};
    return true;
  }
  return false;
}

// None is removed.
void play_register_func_for_remove_image(const void*) {}

#define EVENKEEL_PLAYED(name, what) \
  { name, reinterpret_cast<void*>(&(what)) }
const std::map<std::string, void*>& played() {
  static const std::map<std::string, void*> table = {
      EVENKEEL_PLAYED("pthread_mutex_init", play_mutex_init),
      EVENKEEL_PLAYED("pthread_mutex_lock", play_mutex_lock),
      EVENKEEL_PLAYED("pthread_mutex_trylock", play_mutex_trylock),
      EVENKEEL_PLAYED("pthread_mutex_unlock", play_mutex_unlock),
      EVENKEEL_PLAYED("pthread_mutex_destroy", play_mutex_destroy),
      EVENKEEL_PLAYED("pthread_once", play_once),
      EVENKEEL_PLAYED("pthread_rwlock_rdlock", play_rwlock_rdlock),
      EVENKEEL_PLAYED("pthread_rwlock_wrlock", play_rwlock_wrlock),
      EVENKEEL_PLAYED("pthread_rwlock_unlock", play_rwlock_unlock),
      EVENKEEL_PLAYED("pthread_cond_init", play_cond_init),
      EVENKEEL_PLAYED("pthread_cond_wait", play_cond_wait),
      EVENKEEL_PLAYED("pthread_cond_timedwait", play_cond_timedwait),
      EVENKEEL_PLAYED("pthread_cond_signal", play_cond_signal),
      EVENKEEL_PLAYED("pthread_cond_broadcast", play_cond_broadcast),
      EVENKEEL_PLAYED("pthread_cond_destroy", play_cond_destroy),
      EVENKEEL_PLAYED("pthread_key_create", play_key_create),
      EVENKEEL_PLAYED("pthread_getspecific", play_getspecific),
      EVENKEEL_PLAYED("pthread_setspecific", play_setspecific),
      EVENKEEL_PLAYED("pthread_mach_thread_np", play_mach_thread_np),
      EVENKEEL_PLAYED("pthread_create", play_create),
      EVENKEEL_PLAYED("clock_gettime", play_clock_gettime),
      EVENKEEL_PLAYED("sysconf", play_sysconf),
      EVENKEEL_PLAYED("sysctl", play_sysctl),
      EVENKEEL_PLAYED("sysctlbyname", play_sysctlbyname),
      EVENKEEL_PLAYED("getrlimit", play_getrlimit),
      EVENKEEL_PLAYED("mmap", play_mmap),
      EVENKEEL_PLAYED("flock", play_flock),
      EVENKEEL_PLAYED("dlopen", play_dlopen),
      EVENKEEL_PLAYED("dladdr", play_dladdr),
      EVENKEEL_PLAYED("__ulock_wait", play_ulock_wait),
      EVENKEEL_PLAYED("__ulock_wake", play_ulock_wake),
      EVENKEEL_PLAYED("memset_pattern16", play_memset_pattern16),
      EVENKEEL_PLAYED("strerror_r", play_strerror_r),
      EVENKEEL_PLAYED("__sincos_stret", play_sincos),
      EVENKEEL_PLAYED("__assert_rtn", play_assert),
      EVENKEEL_PLAYED("pthread_atfork", pthread_atfork),
      EVENKEEL_PLAYED("atexit", atexit),
      EVENKEEL_PLAYED("__sprintf_chk", play_sprintf_chk),
      EVENKEEL_PLAYED("snprintf", play_snprintf),
      EVENKEEL_PLAYED("sprintf", play_sprintf),
      EVENKEEL_PLAYED("fprintf", play_fprintf),
      EVENKEEL_PLAYED("printf", play_printf),
      EVENKEEL_PLAYED("vsnprintf", play_vsnprintf),
      EVENKEEL_PLAYED("vfprintf", play_vfprintf),
      EVENKEEL_PLAYED("__stdoutp", standard_output),
      EVENKEEL_PLAYED("__stderrp", standard_error),
      EVENKEEL_PLAYED("__stack_chk_guard", guard),
      EVENKEEL_PLAYED("__stack_chk_fail", play_chk_fail),
      EVENKEEL_PLAYED("_DefaultRuneLocale", rune_locale),
      EVENKEEL_PLAYED("_tlv_atexit", play_tlv_atexit),
      EVENKEEL_PLAYED("_tlv_bootstrap", evenkeel_thread_variable),
      EVENKEEL_PLAYED("_dyld_find_unwind_sections", play_find_unwind_sections),
      EVENKEEL_PLAYED("_dyld_register_func_for_remove_image", play_register_func_for_remove_image),
      EVENKEEL_PLAYED("__error", __errno_location),
      EVENKEEL_PLAYED("__bzero", bzero),
  };
  return table;
}

// What is the same on Linux, by its own name.
constexpr const char* kSame =
    " __cxa_atexit __strcat_chk abort aligned_alloc atoi bzero calloc dlsym exit exp expf fflush fputc fputs free frexp fwrite "
    " getenv gettimeofday hypot ilogb ilogbf ldexp ldexpf log malloc memchr memcmp memcpy memmove memset munmap nanosleep perror pow "
    " pthread_detach pthread_join pthread_self puts raise realloc sched_yield strcasecmp strcat strcmp strerror strlen strncasecmp "
    " strncmp strncpy strtol tanh tanhf ";

[[noreturn]] void not_played(const char* name) {
  fprintf(stderr, "%s of macOS is not played\n", name);
  abort();
}

// Code that calls not_played with a name.
void* refusal(const std::string& name) {
  const char* kept = strdup(name.c_str());
  auto* code = static_cast<uint8_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const auto function = reinterpret_cast<uintptr_t>(&not_played);
#if defined(__x86_64__)
  const uint8_t start[] = {0x48, 0xBF};   // mov $kept, %rdi
  const uint8_t middle[] = {0x48, 0xB8};  // mov $not_played, %rax
  const uint8_t end[] = {0xFF, 0xE0};     // jmp *%rax
  memcpy(code, start, 2);
  memcpy(code + 2, &kept, 8);
  memcpy(code + 10, middle, 2);
  memcpy(code + 12, &function, 8);
  memcpy(code + 20, end, 2);
#else
  const uint32_t words[] = {0x58000080, 0x580000B0, 0xD61F0200, 0xD503201F};  // ldr x0, 16; ldr x16, 24; br x16; nop
  memcpy(code, words, 16);
  memcpy(code + 16, &kept, 8);
  memcpy(code + 24, &function, 8);
#endif
  mprotect(code, 4096, PROT_READ | PROT_EXEC);
  __builtin___clear_cache(reinterpret_cast<char*>(code), reinterpret_cast<char*>(code) + 4096);
  return code;
}

void* resolve(const std::string& symbol) {
  if (symbol == "dyld_stub_binder") return refusal(symbol);  // All is bound before anything runs.
  for (const Image* image : images) {
    if (const auto found = image->exports.find(symbol); found != image->exports.end()) return found->second;
  }
  const std::string name = symbol.substr(1);
  if (const auto found = played().find(name); found != played().end()) return found->second;
  const bool is_same = name.starts_with("napi_") || std::string(kSame).find(' ' + name + ' ') != std::string::npos;
  void* found = is_same ? dlsym(RTLD_DEFAULT, name.c_str()) : nullptr;
  if (found == nullptr && getenv("EVENKEEL_TELL") != nullptr) fprintf(stderr, "not played: %s\n", name.c_str());
  return found != nullptr ? found : refusal(name);
}

uint64_t read_uleb(const uint8_t*& at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const uint8_t byte = *at++;
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
}
int64_t read_sleb(const uint8_t*& at) {
  int64_t value = 0;
  int shift = 0;
  uint8_t byte = 0;
  do {
    byte = *at++;
    value |= static_cast<int64_t>(byte & 0x7F) << shift;
    shift += 7;
  } while ((byte & 0x80) != 0);
  return shift < 64 && (byte & 0x40) != 0 ? value | -(int64_t{1} << shift) : value;
}

// Addresses within the image, which was linked to begin at 0.
void rebase(const Image& image, const std::vector<uint64_t>& segments, const uint8_t* at, const uint8_t* end) {
  char* place = nullptr;
  const auto add = [&](uint64_t count, uint64_t skip) {
    for (; count > 0; --count, place += 8 + skip) *reinterpret_cast<uint64_t*>(place) += reinterpret_cast<uint64_t>(image.base);
  };
  while (at < end) {
    const uint8_t operand = *at & 0x0F;
    switch (*at++ & 0xF0) {
      case 0x00:
        return;
      case 0x10:
        if (operand != 1) throw std::runtime_error("a rebase of another kind");
        break;
      case 0x20:
        place = image.base + segments.at(operand) + read_uleb(at);
        break;
      case 0x30:
        place += read_uleb(at);
        break;
      case 0x40:
        place += uint64_t{8} * operand;
        break;
      case 0x50:
        add(operand, 0);
        break;
      case 0x60:
        add(read_uleb(at), 0);
        break;
      case 0x70:
        add(1, read_uleb(at));
        break;
      case 0x80: {
        const uint64_t count = read_uleb(at);
        add(count, read_uleb(at));
        break;
      }
      default:
        throw std::runtime_error("a rebase that is not known");
    }
  }
}

void bind(const Image& image, const std::vector<uint64_t>& segments, const uint8_t* at, const uint8_t* end) {
  char* place = nullptr;
  std::string symbol;
  int64_t addend = 0;
  const auto write = [&](uint64_t count, uint64_t skip) {
    const uint64_t value = reinterpret_cast<uint64_t>(resolve(symbol)) + static_cast<uint64_t>(addend);
    for (; count > 0; --count, place += 8 + skip) *reinterpret_cast<uint64_t*>(place) = value;
  };
  while (at < end) {
    const uint8_t operand = *at & 0x0F;
    switch (*at++ & 0xF0) {
      case 0x00:  // Lazy ones have this after each.
      case 0x10:
      case 0x30:
        break;
      case 0x20:
        read_uleb(at);
        break;
      case 0x40:
        symbol = reinterpret_cast<const char*>(at);
        at += symbol.size() + 1;
        break;
      case 0x50:
        if (operand != 1) throw std::runtime_error("a binding of another kind");
        break;
      case 0x60:
        addend = read_sleb(at);
        break;
      case 0x70:
        place = image.base + segments.at(operand) + read_uleb(at);
        break;
      case 0x80:
        place += read_uleb(at);
        break;
      case 0x90:
        write(1, 0);
        break;
      case 0xA0:
        write(1, read_uleb(at));
        break;
      case 0xB0:
        write(1, uint64_t{8} * operand);
        break;
      case 0xC0: {
        const uint64_t count = read_uleb(at);
        write(count, read_uleb(at));
        break;
      }
      default:
        throw std::runtime_error("a binding that is not known");
    }
  }
}

struct Command {
  uint32_t kind, size;
};
struct Segment {
  Command command;
  char name[16];
  uint64_t address, size, file_offset, file_size;
  uint32_t most_rights, rights, sections, flags;
};
struct Section {
  char name[16], segment[16];
  uint64_t address, size;
  uint32_t offset, align, relocations, relocation_count, flags, reserved[3];
};
struct Bindings {
  Command command;
  uint32_t rebase, rebase_size, bind, bind_size, weak, weak_size, lazy, lazy_size, exported, exported_size;
};
struct Symbols {
  Command command;
  uint32_t table, count, names, names_size;
};
struct Symbol {
  uint32_t name;
  uint8_t type, section;
  uint16_t description;
  uint64_t value;
};

Image* load(const char* file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  if (bytes.size() < 32 || *reinterpret_cast<const uint32_t*>(bytes.data()) != 0xFEEDFACF)
    throw std::runtime_error(std::string(file) + " is no Mach-O file");
#if defined(__x86_64__)
  constexpr uint32_t kProcessor = 0x01000007;
#else
  constexpr uint32_t kProcessor = 0x0100000C;
#endif
  if (*reinterpret_cast<const uint32_t*>(bytes.data() + 4) != kProcessor)
    throw std::runtime_error(std::string(file) + " is for another processor");
  std::vector<const Segment*> segments;
  const Bindings* bindings = nullptr;
  const Symbols* symbols = nullptr;
  const char* at = bytes.data() + 32;
  for (uint32_t left = *reinterpret_cast<const uint32_t*>(bytes.data() + 16); left > 0; --left) {
    const auto* command = reinterpret_cast<const Command*>(at);
    if (command->kind == 0x19) segments.push_back(reinterpret_cast<const Segment*>(at));
    if (command->kind == 0x80000022) bindings = reinterpret_cast<const Bindings*>(at);
    if (command->kind == 0x02) symbols = reinterpret_cast<const Symbols*>(at);
    at += command->size;
  }
  if (bindings == nullptr || symbols == nullptr) throw std::runtime_error("what this loader reads is not there");
  if (bindings->weak_size != 0) throw std::runtime_error("weak symbols that other libraries may replace");

  auto* image = new Image;
  std::vector<uint64_t> addresses;
  for (const Segment* segment : segments) {
    addresses.push_back(segment->address);
    image->size = std::max(image->size, segment->address + segment->size);
  }
  constexpr size_t kPage = 16384;
  image->size = (image->size + kPage - 1) / kPage * kPage;
  auto* reserved = static_cast<char*>(mmap(nullptr, image->size + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (reserved == MAP_FAILED) throw std::runtime_error("no memory");
  image->base = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(reserved) + kPage - 1) / kPage * kPage);
  for (const Segment* segment : segments) {
    if (segment->size == 0) continue;
    mprotect(image->base + segment->address, segment->size, PROT_READ | PROT_WRITE);
    memcpy(image->base + segment->address, bytes.data() + segment->file_offset, segment->file_size);
  }
  const auto* names = bytes.data() + symbols->names;
  const auto* table = reinterpret_cast<const Symbol*>(bytes.data() + symbols->table);
  for (const Symbol* symbol = table; symbol < table + symbols->count; ++symbol) {
    const bool is_exported = (symbol->type & 0xE0) == 0 && (symbol->type & 0x11) == 0x01 && (symbol->type & 0x0E) == 0x0E;
    if (is_exported) image->exports[names + symbol->name] = image->base + symbol->value;
  }
  const auto part = [&](uint32_t offset) { return reinterpret_cast<const uint8_t*>(bytes.data() + offset); };
  rebase(*image, addresses, part(bindings->rebase), part(bindings->rebase + bindings->rebase_size));
  bind(*image, addresses, part(bindings->bind), part(bindings->bind + bindings->bind_size));
  bind(*image, addresses, part(bindings->lazy), part(bindings->lazy + bindings->lazy_size));

  std::vector<void (*)(int, const char**, const char**, const char**)> constructors;
  const char* template_end = nullptr;
  for (const Segment* segment : segments) {
    const auto* section = reinterpret_cast<const Section*>(segment + 1);
    for (uint32_t i = 0; i < segment->sections; ++i, ++section) {
      char* place = image->base + section->address;
      if (strncmp(section->name, "__unwind_info", 16) == 0) {
        image->unwind = place;
        image->unwind_size = section->size;
      }
      if (strncmp(section->name, "__eh_frame", 16) == 0) {
        image->frames = place;
        image->frames_size = section->size;
      }
      switch (section->flags & 0xFF) {
        case 0x09:  // constructors
          for (uint64_t k = 0; k < section->size / 8; ++k)
            constructors.push_back(reinterpret_cast<decltype(constructors)::value_type*>(place)[k]);
          break;
        case 0x16:  // constructors, by their distance from the beginning
          for (uint64_t k = 0; k < section->size / 4; ++k)
            constructors.push_back(
                reinterpret_cast<decltype(constructors)::value_type>(image->base + reinterpret_cast<uint32_t*>(place)[k]));
          break;
        case 0x11:  // thread variables' first values, and after them those that are zero
        case 0x12:
          if (thread_template == nullptr) thread_template = place;
          template_end = place + section->size;
          if ((section->flags & 0xFF) == 0x11) thread_template_size = static_cast<size_t>(template_end - thread_template);
          thread_block_size = static_cast<size_t>(template_end - thread_template);
          break;
        default:
          break;
      }
    }
    int rights = 0;
    if ((segment->rights & 1) != 0) rights |= PROT_READ;
    if ((segment->rights & 2) != 0) rights |= PROT_WRITE;
    if ((segment->rights & 4) != 0) rights |= PROT_EXEC;
    // As macOS does, once all is bound.
    constexpr uint32_t kReadOnly = 0x10;
    if ((segment->flags & kReadOnly) != 0) rights = PROT_READ;
    if (segment->size != 0) mprotect(image->base + segment->address, segment->size, rights);
  }
  __builtin___clear_cache(image->base, image->base + image->size);
  images.push_back(image);
  const char* none[] = {nullptr};
  for (const auto constructor : constructors) constructor(0, none, const_cast<const char**>(environ), none);
  return image;
}

const Image& addon() {
  static const Image* loaded = [] {
    const char* unwinder = getenv("EVENKEEL_UNWINDER");
    const char* file = getenv("EVENKEEL_MACH_O");
    if (unwinder == nullptr || file == nullptr) {
      fputs("EVENKEEL_MACH_O and EVENKEEL_UNWINDER name no files\n", stderr);
      abort();
    }
    load(unwinder);
    return load(file);
  }();
  return *loaded;
}

}  // namespace

extern "C" char* evenkeel_make_thread_block() {
  auto* block = static_cast<char*>(aligned_alloc(64, (thread_block_size + 63) / 64 * 64));
  memset(block, 0, thread_block_size);
  memcpy(block, thread_template, thread_template_size);
  evenkeel_thread_block = block;
  return block;
}

extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void* env, void* exports) {
  return reinterpret_cast<void* (*)(void*, void*)>(addon().exports.at("_napi_register_module_v1"))(env, exports);
}

extern "C" __attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1() {
  return reinterpret_cast<int32_t (*)()>(addon().exports.at("_node_api_module_get_api_version_v1"))();
}
