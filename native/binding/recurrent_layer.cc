#include "binding/recurrent_layer.h"

#include <string>
#include <utility>
#include <vector>

namespace evenkeel::binding {
namespace {

// The properties of the one object that recurrentLayer takes.
class Options {
 public:
  Options(Napi::Env env, const Napi::Object& object) : env_(env), object_(object) {}

  double number(const char* name, double otherwise) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return otherwise;
    if (!value.IsNumber()) fail(env_, "ERR_OPTION", std::string(name) + ": expected a number.");
    return value.As<Napi::Number>().DoubleValue();
  }
  // From min to max; `otherwise` where it is left out.
  size_t integer(const char* name, size_t min, size_t max, size_t otherwise) const {
    const double value = number(name, static_cast<double>(otherwise));
    if (!(value >= static_cast<double>(min) && value <= static_cast<double>(max)) ||
        value != static_cast<double>(static_cast<size_t>(value))) {
      fail(env_, "ERR_OPTION",
           std::string(name) + ": expected an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
               std::to_string(value) + ".");
    }
    return static_cast<size_t>(value);
  }
  // 0 where it is left out.
  double probability(const char* name) const {
    const double value = number(name, 0);
    if (!(value >= 0 && value <= 1)) fail(env_, "ERR_OPTION", std::string(name) + ": expected a number from 0 to 1.");
    return value;
  }
  bool boolean(const char* name, bool otherwise) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return otherwise;
    if (!value.IsBoolean()) fail(env_, "ERR_OPTION", std::string(name) + ": expected true or false.");
    return value.As<Napi::Boolean>().Value();
  }
  std::string string(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsString()) fail(env_, "ERR_OPTION", std::string(name) + ": expected a string.");
    return value.As<Napi::String>().Utf8Value();
  }
  Napi::Env env() const { return env_; }

 private:
  Napi::Env env_;
  Napi::Object object_;
};

constexpr size_t kMostPlaces = 1 << 20;

CellOptions cell_options(const Options& given) {
  CellOptions options{
      .input = given.integer("inputSize", 1, kMostSize, 0), .hidden = given.integer("hiddenSize", 1, kMostSize, 0), .output = 0};
  options.output = given.integer("outputSize", 1, kMostSize, options.hidden);
  options.nonlinearity = static_cast<Nonlinearity>(given.integer("nonlinearity", 0, 1, 0));
  options.bias = given.boolean("bias", true);
  options.placement = static_cast<Placement>(given.integer("placement", 0, 4, 0));
  options.norm = static_cast<Norm>(given.integer("normKind", 0, 1, 0));
  options.eps = given.number("eps", 1e-5);
  options.per_gate = given.boolean("perGate", false);
  options.cell_norm = static_cast<CellNorm>(given.integer("cellNorm", 0, 2, 0));
  options.cell_norm_kind = static_cast<Norm>(given.integer("cellNormKind", 0, 1, 0));
  options.cell_norm_eps = given.number("cellNormEps", 1e-5);
  options.reset_after = given.boolean("resetAfter", true);
  options.recurrent_dropout = given.probability("recurrentDropout");
  options.zoneout_hidden = given.probability("zoneoutHidden");
  options.zoneout_cell = given.probability("zoneoutCell");
  options.place = static_cast<std::uint32_t>(given.integer("place", 0, kMostPlaces, 0));
  return options;
}

const CellKind& kind_of(const Options& given) {
  const std::string name = given.string("cell");
  const CellKind* kind = find_cell(name);
  if (kind == nullptr) fail(given.env(), "ERR_OPTION", "cell: there is none called \"" + name.substr(0, 40) + "\".");
  return *kind;
}

size_t product(Napi::Env env, size_t a, size_t b) {
  size_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) fail(env, "ERR_SHAPE", "The number of elements of an array overflows.");
  return result;
}

}  // namespace

RecurrentLayer::RecurrentLayer(const Arguments& arguments, const Napi::Object& options)
    : kind_(kind_of(Options(arguments.env(), options))),
      options_(cell_options(Options(arguments.env(), options))),
      widths_(kind_.widths(options_)),
      traits_(masked_traits()),
      lists_(arguments, {{"weights"}, {"gradients"}}) {
  check_parameters(arguments.env());
}

CellTraits RecurrentLayer::masked_traits() const {
  const CellTraits traits = kind_.traits(options_);
  return MaskedCell<float>::wants(options_) ? MaskedCell<float>::traits_of(options_, widths_, traits) : traits;
}

void RecurrentLayer::check_parameters(Napi::Env env) const {
  std::vector<ParameterSize> expected = {{"weightIh", product(env, widths_.gates(), widths_.i)},
                                         {"weightHh", product(env, widths_.gates(), widths_.p)}};
  for (ParameterSize& own : kind_.parameters(options_)) expected.push_back(std::move(own));
  if (lists_.count() != expected.size()) {
    fail(env, "ERR_SHAPE", "weights: expected " + std::to_string(expected.size()) + " arrays, got " + std::to_string(lists_.count()) + ".");
  }
  for (size_t k = 0; k < expected.size(); ++k) {
    const std::string name = "weights[" + std::to_string(k) + "], " + expected[k].name;
    if (lists_.kind(k) != lists_.kind(0)) fail(env, "ERR_DTYPE", name + ": expected an array of the kind of the first one.");
    if (lists_.length(k) != expected[k].count) {
      fail(env, lists_.length(k) == 0 ? "ERR_STATE" : "ERR_SHAPE",
           name + ": expected " + std::to_string(expected[k].count) + " elements, got " + std::to_string(lists_.length(k)) + ".");
    }
  }
}

}  // namespace evenkeel::binding
