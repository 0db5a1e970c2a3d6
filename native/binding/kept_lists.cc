#include "binding/kept_lists.h"

#include <string>

namespace evenkeel::binding {

KeptLists::KeptLists(const Arguments& arguments, std::initializer_list<ListName> names) {
  lists_.reserve(names.size());
  for (const ListName& given : names) {
    const size_t at = lists_.size();
    List& list = lists_.emplace_back(List{given.name, {}, {}, {}});
    if (given.optional && arguments.is_null(at)) continue;
    list.views = at == 0 ? arguments.list(at, list.name) : arguments.list_like(at, list.name, lists_[0].views);
    for (const Arguments::View& view : list.views) list.references.push_back(Napi::Persistent(Napi::Object(arguments.env(), view.array)));
    list.elements.resize(list.views.size());
  }
}

void KeptLists::find_elements(Napi::Env env, size_t lists) {
  for (size_t k = 0; k < lists; ++k) {
    List& list = lists_[k];
    for (size_t i = 0; i < list.views.size(); ++i) {
      const Arguments::View& view = list.views[i];
      size_t length = 0;
      // The kind is not asked for: it takes longer than the rest, and stays.
      if (napi_get_typedarray_info(env, list.references[i].Value(), nullptr, &length, &list.elements[i], nullptr, nullptr) != napi_ok ||
          length != view.length) {
        fail(env, length == 0 ? "ERR_STATE" : "ERR_SHAPE",
             std::string(list.name) + "[" + std::to_string(i) + "]: expected " + std::to_string(view.length) + " elements, got " +
                 std::to_string(length) + ". Was its buffer transferred to another thread?");
      }
    }
  }
}

}  // namespace evenkeel::binding
