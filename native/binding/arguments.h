#pragma once
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <string>
#include <vector>

#include "core/floating_point_mode.h"

namespace evenkeel::binding {

// Throws a JavaScript Error with a `code`; the TypeScript side makes an EvenkeelError of it.
[[noreturn]] void fail(Napi::Env env, const char* code, const std::string& message);

// The arguments of one call. TypeScript has validated them; here is checked again, at each call, whatever could corrupt memory: kinds,
// sizes and lengths, since a caller may have transferred or resized a buffer meanwhile. The argument names are those of
// lib/native/addon.ts.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  Napi::Env env() const { return info_.Env(); }

  // An integer from 1 to 2^31 − 1.
  size_t size(size_t index, const char* name) const;
  // An integer from min to max.
  int64_t integer(size_t index, const char* name, int64_t min, int64_t max) const;
  double number(size_t index, const char* name) const;
  bool boolean(size_t index, const char* name) const;
  std::string string(size_t index, const char* name) const;
  Napi::Object object(size_t index, const char* name) const;

  // What a Napi::External holds that this addon made: JavaScript cannot make one.
  template <typename T>
  const T& external(size_t index, const char* name) const {
    if (!info_[index].IsExternal()) fail(env(), "ERR_OPTION", std::string(name) + ": expected a native object.");
    return *info_[index].As<Napi::External<T>>().Data();
  }

  size_t count() const { return info_.Length(); }
  // What the function was made with.
  void* data() const { return info_.Data(); }
  bool is_null(size_t index) const { return info_[index].IsNull(); }

  // Whether the typed array at `index` holds doubles; fails unless it is a Float32Array or Float64Array.
  bool is_double(size_t index, const char* name) const;
  // The number of elements of the typed array at `index`, which the other arrays of the call then must have too.
  size_t length(size_t index, const char* name) const;

  // The elements of the typed array at `index`; fails unless its kind is T and it has exactly `count` of them.
  template <typename T>
  T* array(size_t index, const char* name, size_t count) const {
    return static_cast<T*>(elements(index, name, kind_of<T>(), count));
  }
  // The same, or null for JavaScript's null.
  template <typename T>
  T* optional_array(size_t index, const char* name, size_t count) const {
    return is_null(index) ? nullptr : array<T>(index, name, count);
  }

  // A copy of the elements, for values that become indices: memory that another thread shares may change between a check and its use.
  template <typename T>
  std::vector<T> copy(size_t index, const char* name, size_t count) const {
    const T* elements = array<T>(index, name, count);
    return std::vector<T>(elements, elements + count);
  }

  // The elements of each typed array in the array at `index`. Getters of the list run before the first address is looked up, and no
  // JavaScript after it: make what a call returns when its work is done.
  struct View {
    napi_typedarray_type kind;
    size_t length;
    void* data;
    napi_value array;  // good as long as the call
  };
  std::vector<View> list(size_t index, const char* name) const;
  // The same of an array as long as `like`, each of the kind and length of its fellow there.
  std::vector<View> list_like(size_t index, const char* name, const std::vector<View>& like) const;

  // The product of sizes; fails where it overflows.
  size_t product(std::initializer_list<size_t> sizes) const;

 private:
  template <typename T>
  static constexpr napi_typedarray_type kind_of() {
    if constexpr (std::is_same_v<T, float>) return napi_float32_array;
    if constexpr (std::is_same_v<T, double>) return napi_float64_array;
    if constexpr (std::is_same_v<T, std::int32_t>) return napi_int32_array;
  }

  View view(size_t index, const char* name) const;
  void* elements(size_t index, const char* name, napi_typedarray_type kind, size_t count) const;

  const Napi::CallbackInfo& info_;
};

// Calls body with a float or a double, as the typed array at `index` holds, to name the element type of the whole call.
template <typename Body>
auto with_element_type(const Arguments& arguments, size_t index, const char* name, Body&& body) {
  return arguments.is_double(index, name) ? body(double{}) : body(float{});
}

// Calls body(T zero, size_t i) for each array of a list, T its element type.
template <typename Body>
void for_each_array(const std::vector<Arguments::View>& arrays, Body&& body) {
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].kind == napi_float64_array) {
      body(double{}, i);
    } else {
      body(float{}, i);
    }
  }
}

// What Node calls: Function as a native method, with denormals flushed and failed allocations reported.
template <Napi::Value (*Function)(const Arguments&)>
Napi::Value entry(const Napi::CallbackInfo& info) {
  try {
    const FlushDenormals flush;
    return Function(Arguments(info));
  } catch (const std::bad_alloc&) {
    fail(info.Env(), "ERR_MEMORY",
         "The native code could not allocate the scratch memory of this call. Use a smaller batch or a shorter sequence.");
  }
}

template <Napi::Value (*Function)(const Arguments&)>
void add_function(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<entry<Function>>(exports.Env(), name));
}

// One per file of this folder.
void register_copy_steps(Napi::Object exports);
void register_embedding(Napi::Object exports);
void register_layers(Napi::Object exports);
void register_masks(Napi::Object exports);
void register_recurrent(Napi::Object exports);
void register_recurrent_pair(Napi::Object exports);
void register_training(Napi::Object exports);
void register_runtime(Napi::Object exports);

}  // namespace evenkeel::binding
