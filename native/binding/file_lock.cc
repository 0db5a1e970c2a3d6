#include "binding/file_lock.h"

#include <stdexcept>
#include <string>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <system_error>

#include "binding/host.h"
#else
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#endif

namespace evenkeel::binding {

#if defined(_WIN32)

bool try_lock(int descriptor) {
  // Descriptors are of the host's C runtime, not of this library's.
  const auto handle_of = reinterpret_cast<HANDLE (*)(int)>(host_function("uv_get_osfhandle"));
  if (handle_of == nullptr) throw std::runtime_error("This program does not tell the handles of its files.");
  // Windows keeps others from reading and writing what is locked: one byte, where no file reaches.
  OVERLAPPED place{};
  place.OffsetHigh = 0x7fffffff;
  if (LockFileEx(handle_of(descriptor), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place) != 0) return true;
  const DWORD error = GetLastError();
  if (error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING) return false;
  throw std::runtime_error(std::system_category().message(static_cast<int>(error)));
}

#else

bool try_lock(int descriptor) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  throw std::runtime_error(std::strerror(errno) + std::string("."));
}

#endif

}  // namespace evenkeel::binding
