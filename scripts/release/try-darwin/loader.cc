// An addon for Linux that loads one for macOS of the same processor, and plays what macOS has for it: here the loader; the part of
// libSystem that it asks for in system.cc and thread_variables.cc. Both systems call functions alike on x86-64; on ARM but for the
// arguments of a `...`, which macOS puts on the stack. So the very instructions of the binary are run. What is not played stops the process
// with its name.
//   EVENKEEL_MACH_O     the binary for macOS
//   EVENKEEL_UNWINDER   LLVM's libunwind for macOS, which the system has in libSystem
#include <sys/mman.h>
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
#include <vector>

#include "played.h"

namespace {

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

void* resolve(const std::string& symbol) {
  if (symbol == "dyld_stub_binder") return played::refuse(symbol);  // All is bound before anything runs.
  for (const Image* image : images) {
    if (const auto found = image->exports.find(symbol); found != image->exports.end()) return found->second;
  }
  return played::find(symbol.substr(1));
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
  const char* values = nullptr;
  size_t without_zeros = 0;
  size_t with_zeros = 0;
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
          if (values == nullptr) values = place;
          with_zeros = static_cast<size_t>(place + section->size - values);
          if ((section->flags & 0xFF) == 0x11) without_zeros = with_zeros;
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
  if (values != nullptr) played::set_thread_variables(values, without_zeros, with_zeros);
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

bool played::find_unwind_sections(const void* address, UnwindSections* found) {
  for (const Image* image : images) {
    if (address < image->base || address >= image->base + image->size) continue;
    *found = {image->base, image->frames, image->frames_size, image->unwind, image->unwind_size};
    return true;
  }
  return false;
}

extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void* env, void* exports) {
  return reinterpret_cast<void* (*)(void*, void*)>(addon().exports.at("_napi_register_module_v1"))(env, exports);
}

extern "C" __attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1() {
  return reinterpret_cast<int32_t (*)()>(addon().exports.at("_node_api_module_get_api_version_v1"))();
}
