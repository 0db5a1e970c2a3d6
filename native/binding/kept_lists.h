#pragma once
#include <napi.h>

#include <initializer_list>
#include <memory>
#include <vector>

#include "binding/arguments.h"

namespace evenkeel::binding {

struct ListName {
  const char* name;
  bool optional = false;  // may be JavaScript's null
};

// Lists of typed arrays for a function that JavaScript makes once and calls at every step. To find an array in a list and to ask for its
// kind takes N-API four times as long as to see, through a reference, whether its elements are still there; and that alone can change.
class KeptLists {
 public:
  // The first arguments of the call, a list for each name. Every list has an array for each of the first one's, of its kind and length.
  KeptLists(const Arguments& arguments, std::initializer_list<ListName> names);

  // Before each use, of all lists or the first ones alone. Fails where an array no longer has its elements.
  void find_elements(Napi::Env env) { find_elements(env, lists_.size()); }
  void find_elements(Napi::Env env, size_t lists);

  // Calls body(T zero, size_t i) for each array of a list, T its element type.
  template <typename Body>
  void for_each(Body&& body) const {
    for_each_array(lists_[0].views, body);
  }
  template <typename T>
  T* elements(size_t list, size_t index) const {
    return static_cast<T*>(lists_[list].elements[index]);
  }
  // The same, null where there is no such list.
  template <typename T>
  T* optional_elements(size_t list, size_t index) const {
    return lists_[list].views.empty() ? nullptr : elements<T>(list, index);
  }
  size_t count() const { return lists_[0].views.size(); }
  size_t length(size_t index) const { return lists_[0].views[index].length; }
  napi_typedarray_type kind(size_t index) const { return lists_[0].views[index].kind; }
  // The elements of all arrays of a list, as find_elements found them.
  void* const* all(size_t list) const { return lists_[list].elements.data(); }

 private:
  struct List {
    const char* name;
    std::vector<Arguments::View> views;
    std::vector<void*> elements;
    std::vector<Napi::ObjectReference> references;
  };

  std::vector<List> lists_;
};

template <Napi::Value (*Function)(const Arguments&, const KeptLists&)>
Napi::Value call_over_lists(const Arguments& arguments) {
  auto* lists = static_cast<KeptLists*>(arguments.data());
  lists->find_elements(arguments.env());
  return Function(arguments, *lists);
}

// A JavaScript function that calls Function with its own arguments and with the lists that these arguments are.
template <Napi::Value (*Function)(const Arguments&, const KeptLists&)>
Napi::Value function_over(const Arguments& arguments, std::initializer_list<ListName> names) {
  auto lists = std::make_unique<KeptLists>(arguments, names);
  Napi::Function function = Napi::Function::New<entry<call_over_lists<Function>>>(arguments.env(), nullptr, lists.get());
  function.AddFinalizer([](Napi::BasicEnv, KeptLists* kept) { delete kept; }, lists.get());
  static_cast<void>(lists.release());  // the function's from now on
  return function;
}

}  // namespace evenkeel::binding
