#include "binding/arguments.h"

#include <array>
#include <cstdio>

namespace evenkeel::binding {
namespace {

constexpr int64_t kMaxSize = 2147483647;      // BLAS counts in 32-bit integers
constexpr uint32_t kMaxListLength = 1000000;  // more arrays than any model has

const char* kind_name(napi_typedarray_type kind) {
  switch (kind) {
    case napi_float32_array:
      return "Float32Array";
    case napi_float64_array:
      return "Float64Array";
    case napi_int32_array:
      return "Int32Array";
    default:
      return "typed array of another kind";
  }
}

// As JavaScript would print it, or nearly.
std::string text_of(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.15g", value);
  return text.data();
}

std::string element_name(const char* list, size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

}  // namespace

void fail(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

int64_t Arguments::integer(size_t index, const char* name, int64_t min, int64_t max) const {
  const double value = number(index, name);
  const bool in_range = value >= static_cast<double>(min) && value <= static_cast<double>(max);
  if (!in_range || value != static_cast<double>(static_cast<int64_t>(value))) {
    fail(env(), "ERR_SHAPE",
         std::string(name) + ": expected an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
             text_of(value) + ".");
  }
  return static_cast<int64_t>(value);
}

size_t Arguments::size(size_t index, const char* name) const { return static_cast<size_t>(integer(index, name, 1, kMaxSize)); }

double Arguments::number(size_t index, const char* name) const {
  double value = 0;
  if (napi_get_value_double(env(), info_[index], &value) != napi_ok) {
    fail(env(), "ERR_OPTION", std::string(name) + ": expected a number.");
  }
  return value;
}

bool Arguments::boolean(size_t index, const char* name) const {
  bool value = false;
  if (napi_get_value_bool(env(), info_[index], &value) != napi_ok) {
    fail(env(), "ERR_OPTION", std::string(name) + ": expected true or false.");
  }
  return value;
}

std::string Arguments::string(size_t index, const char* name) const {
  if (!info_[index].IsString()) fail(env(), "ERR_OPTION", std::string(name) + ": expected a string.");
  return info_[index].As<Napi::String>().Utf8Value();
}

Napi::Object Arguments::object(size_t index, const char* name) const {
  if (!info_[index].IsObject()) fail(env(), "ERR_OPTION", std::string(name) + ": expected an object.");
  return info_[index].As<Napi::Object>();
}

Arguments::View Arguments::view(size_t index, const char* name) const {
  View view{.array = info_[index]};
  // The array buffer is not asked for: a SharedArrayBuffer is none to N-API, but its elements are as good.
  if (napi_get_typedarray_info(env(), view.array, &view.kind, &view.length, &view.data, nullptr, nullptr) != napi_ok) {
    fail(env(), "ERR_DTYPE", std::string(name) + ": expected a typed array.");
  }
  return view;
}

bool Arguments::is_double(size_t index, const char* name) const {
  const View found = view(index, name);
  if (found.kind != napi_float32_array && found.kind != napi_float64_array) {
    fail(env(), "ERR_DTYPE", std::string(name) + ": expected a Float32Array or Float64Array, got a " + kind_name(found.kind) + ".");
  }
  return found.kind == napi_float64_array;
}

size_t Arguments::length(size_t index, const char* name) const { return view(index, name).length; }

void* Arguments::elements(size_t index, const char* name, napi_typedarray_type kind, size_t count) const {
  const View found = view(index, name);
  if (found.kind != kind) {
    fail(env(), "ERR_DTYPE", std::string(name) + ": expected a " + kind_name(kind) + ", got a " + kind_name(found.kind) + ".");
  }
  if (found.length != count) {
    fail(env(), found.length == 0 ? "ERR_STATE" : "ERR_SHAPE",
         std::string(name) + ": expected " + std::to_string(count) + " elements, got " + std::to_string(found.length) +
             (found.length == 0 ? ". Was its buffer transferred to another thread?" : "."));
  }
  return found.data;
}

std::vector<Arguments::View> Arguments::list(size_t index, const char* name) const {
  const napi_value array = info_[index];
  uint32_t length = 0;
  if (napi_get_array_length(env(), array, &length) != napi_ok || length > kMaxListLength) {
    fail(env(), "ERR_DTYPE", std::string(name) + ": expected an array of at most " + std::to_string(kMaxListLength) + " typed arrays.");
  }
  std::vector<View> views;
  for (uint32_t i = 0; i < length; ++i) {
    View& found = views.emplace_back();
    bool is_typed_array = false;
    if (napi_get_element(env(), array, i, &found.array) != napi_ok || napi_is_typedarray(env(), found.array, &is_typed_array) != napi_ok ||
        !is_typed_array) {
      fail(env(), "ERR_DTYPE", element_name(name, i) + ": expected a Float32Array or Float64Array.");
    }
  }
  for (size_t i = 0; i < views.size(); ++i) {
    View& found = views[i];
    napi_value buffer = nullptr;
    if (napi_get_typedarray_info(env(), found.array, &found.kind, &found.length, &found.data, &buffer, nullptr) != napi_ok ||
        (found.kind != napi_float32_array && found.kind != napi_float64_array)) {
      fail(env(), "ERR_DTYPE", element_name(name, i) + ": expected a Float32Array or Float64Array.");
    }
    bool is_gone = false;
    if (found.length == 0 && napi_is_detached_arraybuffer(env(), buffer, &is_gone) == napi_ok && is_gone) {
      fail(env(), "ERR_STATE", element_name(name, i) + ": expected elements, but its buffer was transferred to another thread.");
    }
  }
  return views;
}

std::vector<Arguments::View> Arguments::list_like(size_t index, const char* name, const std::vector<View>& like) const {
  std::vector<View> views = list(index, name);
  if (views.size() != like.size()) {
    fail(env(), "ERR_SHAPE",
         std::string(name) + ": expected " + std::to_string(like.size()) + " arrays, got " + std::to_string(views.size()) + ".");
  }
  for (size_t i = 0; i < views.size(); ++i) {
    if (views[i].kind != like[i].kind) {
      fail(env(), "ERR_DTYPE",
           element_name(name, i) + ": expected a " + kind_name(like[i].kind) + ", got a " + kind_name(views[i].kind) + ".");
    }
    if (views[i].length != like[i].length) {
      fail(env(), "ERR_SHAPE",
           element_name(name, i) + ": expected " + std::to_string(like[i].length) + " elements, got " + std::to_string(views[i].length) +
               ". Was a buffer transferred to another thread?");
    }
  }
  return views;
}

size_t Arguments::product(std::initializer_list<size_t> sizes) const {
  size_t result = 1;
  for (const size_t size : sizes) {
    if (__builtin_mul_overflow(result, size, &result)) fail(env(), "ERR_SHAPE", "The number of elements of an array overflows.");
  }
  return result;
}

}  // namespace evenkeel::binding
