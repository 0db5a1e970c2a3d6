// Of libSystem what the binary asks for, where Linux has it otherwise, and the names of what it has alike. Constants are those of macOS's
// headers.
#include <dlfcn.h>
#include <errno.h>
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

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "played.h"

namespace played {
namespace {

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
// Each function makes its own list, of what follows `format`.
#define EVENKEEL_PRINTS(declaration, print) \
  int declaration {                         \
    va_list list;                           \
    va_start(list, format);                 \
    on_stack(list);                         \
    const int result = print;               \
    va_end(list);                           \
    return result;                          \
  }
EVENKEEL_PRINTS(play_snprintf(char* text, size_t size, const char* format, ...), vsnprintf(text, size, format, list))
EVENKEEL_PRINTS(play_sprintf(char* text, const char* format, ...), vsprintf(text, format, list))
EVENKEEL_PRINTS(play_sprintf_chk(char* text, int, size_t size, const char* format, ...), vsnprintf(text, size, format, list))
EVENKEEL_PRINTS(play_fprintf(FILE* file, const char* format, ...), vfprintf(file, format, list))
EVENKEEL_PRINTS(play_printf(const char* format, ...), vprintf(format, list))
#undef EVENKEEL_PRINTS

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

// None is removed.
void play_register_func_for_remove_image(const void*) {}

#define EVENKEEL_PLAYED(name, what) \
  { name, reinterpret_cast<void*>(&(what)) }
const std::map<std::string, void*>& table() {
  static const std::map<std::string, void*> made = {
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
      EVENKEEL_PLAYED("_tlv_atexit", at_thread_exit),
      EVENKEEL_PLAYED("_tlv_bootstrap", evenkeel_thread_variable),
      EVENKEEL_PLAYED("_dyld_find_unwind_sections", find_unwind_sections),
      EVENKEEL_PLAYED("_dyld_register_func_for_remove_image", play_register_func_for_remove_image),
      EVENKEEL_PLAYED("__error", __errno_location),
      EVENKEEL_PLAYED("__bzero", bzero),
  };
  return made;
}

// What is the same on Linux, by its own name.
constexpr const char* kSame =
    " __cxa_atexit __strcat_chk abort aligned_alloc atoi bzero calloc dlsym exit exp expf fflush fputc fputs free frexp fwrite getenv "
    " gettimeofday hypot ilogb ilogbf ldexp ldexpf log malloc memchr memcmp memcpy memmove memset munmap nanosleep nearbyint perror "
    " pow pthread_detach pthread_join pthread_self puts raise realloc sched_yield strcasecmp strcat strcmp strerror strlen strncasecmp "
    " strncmp strncpy strtol tanh tanhf ";

[[noreturn]] void not_played(const char* name) {
  fprintf(stderr, "%s of macOS is not played\n", name);
  abort();
}

}  // namespace

// Code that calls not_played with a name.
void* refuse(const std::string& name) {
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

void* find(const std::string& name) {
  if (const auto found = table().find(name); found != table().end()) return found->second;
  const bool is_same = name.starts_with("napi_") || std::string(kSame).find(' ' + name + ' ') != std::string::npos;
  void* found = is_same ? dlsym(RTLD_DEFAULT, name.c_str()) : nullptr;
  return found != nullptr ? found : refuse(name);
}

}  // namespace played
