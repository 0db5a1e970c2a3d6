#pragma once
#include <cstddef>
#include <memory>
#include <tuple>

#include "binding/arguments.h"
#include "binding/kept_lists.h"
#include "layers/cells/cells.h"
#include "layers/cells/masked_cell.h"
#include "layers/recurrent/kept_weights.h"
#include "layers/recurrent/recurrent.h"
#include "layers/recurrent/strategy.h"

namespace evenkeel::binding {

constexpr size_t kMostSize = 2147483647;  // BLAS counts in 32-bit integers

// A recurrent layer: its cell, and its parameters and their gradients, which JavaScript gives once and calls over at each pass.
class RecurrentLayer {
 public:
  // The arguments: weights, gradients, options.
  RecurrentLayer(const Arguments& arguments, const Napi::Object& options);

  bool is_double() const { return lists_.kind(0) == napi_float64_array; }
  const Widths& widths() const { return widths_; }
  const CellTraits& traits() const { return traits_; }
  RecurrentShape shape(size_t n, size_t t) const { return {widths_, n, t}; }
  // Whether a backward pass does.
  bool needs_masks() const { return MaskedCell<float>::wants(options_); }

  void find_elements(Napi::Env env) { lists_.find_elements(env); }
  // The same for a call that has nothing to do with gradients.
  void find_weights(Napi::Env env) { lists_.find_elements(env, 1); }
  // Once either has been called in this call.
  template <typename T>
  std::unique_ptr<Cell<T>> make_cell(const RecurrentShape& shape, bool keeps, bool backward, const MaskCall* masks) const {
    const CellCall<T> call = {.sequences = shape.n,
                              .keeps = keeps,
                              .in_lanes = scan_strategy<T>(shape, traits_).in_lanes,
                              .values = lists_.all(0),
                              .gradients = backward ? lists_.all(1) : nullptr};
    std::unique_ptr<Cell<T>> cell = kind_.make<T>(options_, call);
    if (!MaskedCell<T>::wants(options_)) return cell;
    return std::make_unique<MaskedCell<T>>(options_, std::move(cell), call, masks);
  }
  // Packs the weights as they are now for all forward passes from now on.   Throws std::bad_alloc.
  template <typename T>
  void keep_weights() {
    std::get<std::unique_ptr<KeptWeights<T>>>(kept_) = std::make_unique<KeptWeights<T>>(widths_, weight_ih<T>(), weight_hh<T>());
  }
  template <typename T>
  const KeptWeights<T>* kept() const {
    return std::get<std::unique_ptr<KeptWeights<T>>>(kept_).get();
  }
  // Whether the passes from now on pack the weights once for all of them, which must not change meanwhile; else each for itself.
  template <typename T>
  void share_weights(bool shares) {
    auto& of_type = std::get<std::unique_ptr<SharedWeights<T>>>(shared_);
    of_type = shares ? std::make_unique<SharedWeights<T>>() : nullptr;
  }
  template <typename T>
  SharedWeights<T>* shared() const {
    return std::get<std::unique_ptr<SharedWeights<T>>>(shared_).get();
  }
  template <typename T>
  const T* weight_ih() const {
    return lists_.elements<T>(0, 0);
  }
  template <typename T>
  const T* weight_hh() const {
    return lists_.elements<T>(0, 1);
  }
  template <typename T>
  T* dweight_ih() const {
    return lists_.elements<T>(1, 0);
  }
  template <typename T>
  T* dweight_hh() const {
    return lists_.elements<T>(1, 1);
  }

 private:
  CellTraits masked_traits() const;
  void check_parameters(Napi::Env env) const;

  const CellKind& kind_;
  CellOptions options_;
  Widths widths_;
  CellTraits traits_;
  KeptLists lists_;
  std::tuple<std::unique_ptr<KeptWeights<float>>, std::unique_ptr<KeptWeights<double>>> kept_;
  std::tuple<std::unique_ptr<SharedWeights<float>>, std::unique_ptr<SharedWeights<double>>> shared_;
};

// What each method of a handle holds on to.
using Handle = std::shared_ptr<RecurrentLayer>;

// A method that holds on to `owner`, which its calls find in Arguments::data.
template <Napi::Value (*Function)(const Arguments&), typename Owner>
void add_method(Napi::Object object, const char* name, const Owner& owner) {
  auto own = std::make_unique<Owner>(owner);
  Napi::Function function = Napi::Function::New<entry<Function>>(object.Env(), name, own.get());
  function.AddFinalizer([](Napi::BasicEnv, Owner* kept) { delete kept; }, own.get());
  static_cast<void>(own.release());  // the function's from now on
  object.Set(name, function);
}

}  // namespace evenkeel::binding
