#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "binding/arguments.h"
#include "binding/kept_lists.h"
#include "kernels/kernels.h"
#include "layers/loss.h"
#include "layers/optimizer.h"

namespace evenkeel::binding {
namespace {

double checked_divisor(const Arguments& arguments, size_t index) {
  const double divisor = arguments.number(index, "divisor");
  if (!(divisor > 0)) fail(arguments.env(), "ERR_OPTION", "divisor: expected a number above 0.");
  return divisor;
}

Napi::Value point_loss_call(const Arguments& arguments) {
  const double loss = with_element_type(arguments, 3, "output", [&](auto zero) {
    using T = decltype(zero);
    const auto kind = static_cast<PointLoss>(arguments.integer(0, "kind", 0, 3));
    const size_t count = arguments.length(3, "output");
    if (count == 0) {
      fail(arguments.env(), "ERR_STATE", "output: expected at least one element. Was its buffer transferred to another thread?");
    }
    const size_t width = arguments.is_null(5) ? 1 : arguments.length(5, "positive");
    if (width == 0 || count % width != 0) fail(arguments.env(), "ERR_SHAPE", "positive: expected one for each element of a row.");
    return point_loss(kind, count, checked_divisor(arguments, 1), arguments.number(2, "delta"), arguments.array<T>(3, "output", count),
                      arguments.array<T>(4, "target", count), width, arguments.optional_array<T>(5, "positive", width),
                      arguments.optional_array<T>(6, "values", count), arguments.array<T>(7, "grad", count));
  });
  return Napi::Number::New(arguments.env(), loss);
}

std::vector<int32_t> checked_labels(const Arguments& arguments, size_t index, size_t rows, size_t classes, int32_t least = 0) {
  std::vector<int32_t> labels = arguments.copy<int32_t>(index, "labels", rows);
  for (size_t row = 0; row < rows; ++row) {
    if (labels[row] < least || (labels[row] >= 0 && static_cast<size_t>(labels[row]) >= classes)) {
      fail(arguments.env(), "ERR_OPTION",
           "labels[" + std::to_string(row) + "]: expected a class from 0 to " + std::to_string(classes - 1) + ", got " +
               std::to_string(labels[row]) + ".");
    }
  }
  return labels;
}

Napi::Value cross_entropy_call(const Arguments& arguments) {
  const double loss = with_element_type(arguments, 2, "logits", [&](auto zero) {
    using T = decltype(zero);
    const size_t rows = arguments.size(0, "rows");
    const size_t classes = arguments.size(1, "classes");
    const size_t count = arguments.product({rows, classes});
    return cross_entropy(rows, classes, arguments.array<T>(2, "logits", count), checked_labels(arguments, 3, rows, classes).data(),
                         arguments.array<T>(4, "grad", count));
  });
  return Napi::Number::New(arguments.env(), loss);
}

Napi::Value weighted_cross_entropy_call(const Arguments& arguments) {
  const double loss = with_element_type(arguments, 3, "logits", [&](auto zero) {
    using T = decltype(zero);
    const size_t rows = arguments.size(0, "rows");
    const size_t classes = arguments.size(1, "classes");
    const size_t count = arguments.product({rows, classes});
    const T* weights = arguments.optional_array<T>(5, "weights", classes);
    double weight_sum = weights == nullptr ? static_cast<double>(classes) : 0;
    if (weights != nullptr) weight_sum = std::accumulate(weights, weights + classes, 0.0);
    const ClassTargets<T> targets = {.weights = weights, .weight_sum = weight_sum, .smoothing = arguments.number(6, "smoothing")};
    return weighted_cross_entropy(rows, classes, checked_divisor(arguments, 2), targets, arguments.array<T>(3, "logits", count),
                                  checked_labels(arguments, 4, rows, classes, -1).data(), arguments.optional_array<T>(7, "values", rows),
                                  arguments.array<T>(8, "grad", count));
  });
  return Napi::Number::New(arguments.env(), loss);
}

// --- Passes over all parameters: every list of a call has one array for each parameter, of one kind and length per parameter --------

using Views = std::vector<Arguments::View>;

template <typename T>
T* elements(const Views& views, size_t index) {
  return static_cast<T*>(views[index].data);
}

Napi::Value norm_terms_call(const Arguments& arguments) {
  const Views values = arguments.list(0, "values");
  const NormOrder order = static_cast<NormOrder>(arguments.integer(1, "order", 0, 2));
  const size_t capacity = arguments.length(2, "terms");
  double* terms = arguments.array<double>(2, "terms", std::max(capacity, values.size()));
  for_each_array(values, [&](auto zero, size_t i) { terms[i] = norm_term(values[i].length, elements<decltype(zero)>(values, i), order); });
  return arguments.env().Undefined();
}

Napi::Value scale_call(const Arguments& arguments) {
  const Views values = arguments.list(0, "values");
  const double numerator = arguments.number(1, "numerator");
  const double denominator = arguments.number(2, "denominator");
  for_each_array(values, [&](auto zero, size_t i) {
    using T = decltype(zero);
    scale(values[i].length, numerator, denominator, elements<T>(values, i));
  });
  return arguments.env().Undefined();
}

Napi::Value clamp_call(const Arguments& arguments) {
  const Views values = arguments.list(0, "values");
  const double limit = arguments.number(1, "limit");
  for_each_array(values, [&](auto zero, size_t i) {
    using T = decltype(zero);
    clamp(values[i].length, limit, elements<T>(values, i));
  });
  return arguments.env().Undefined();
}

// --- What an optimiser does at each step: functions over lists that are given once ---------------------------------------------------

Napi::Value fill_zero_over(const Arguments& arguments, const KeptLists& lists) {
  lists.for_each([&](auto zero, size_t i) { fill_zero(lists.length(i), lists.elements<decltype(zero)>(0, i)); });
  return arguments.env().Undefined();
}

Napi::Value find_non_finite_over(const Arguments& arguments, const KeptLists& lists) {
  double found = -1;
  lists.for_each([&](auto zero, size_t i) {
    if (found < 0 && !is_finite(lists.length(i), lists.elements<decltype(zero)>(0, i))) found = static_cast<double>(i);
  });
  return Napi::Number::New(arguments.env(), found);
}

Napi::Value are_within_over(const Arguments& arguments, const KeptLists& lists) {
  const double limit = arguments.number(0, "limit");
  const bool positive = arguments.boolean(1, "positive");
  bool within = limit >= 0;
  lists.for_each([&](auto zero, size_t i) {
    using T = decltype(zero);
    within = within && is_within(lists.length(i), lists.elements<T>(0, i), static_cast<T>(limit), positive);
  });
  return Napi::Boolean::New(arguments.env(), within);
}

Napi::Value copy_over(const Arguments& arguments, const KeptLists& lists) {
  lists.for_each([&](auto zero, size_t i) {
    using T = decltype(zero);
    copy(lists.length(i), lists.elements<T>(0, i), lists.elements<T>(1, i));
  });
  return arguments.env().Undefined();
}

Napi::Value sgd_step_over(const Arguments& arguments, const KeptLists& lists) {
  const SgdStep step = {.learning_rate = arguments.number(0, "learningRate"),
                        .momentum = arguments.number(1, "momentum"),
                        .dampening = arguments.number(5, "dampening"),
                        .weight_decay = arguments.number(3, "weightDecay"),
                        .nesterov = arguments.boolean(2, "nesterov"),
                        .maximize = arguments.boolean(6, "maximize"),
                        .first_step = arguments.boolean(4, "firstStep")};
  lists.for_each([&](auto zero, size_t i) {
    using T = decltype(zero);
    sgd_step(lists.length(i), step, lists.elements<T>(0, i), lists.elements<T>(1, i), lists.optional_elements<T>(2, i));
  });
  return arguments.env().Undefined();
}

Napi::Value adam_step_over(const Arguments& arguments, const KeptLists& lists) {
  const double beta1 = arguments.number(1, "beta1");
  const double beta2 = arguments.number(2, "beta2");
  const double t = arguments.number(6, "step");
  const AdamStep step = {.learning_rate = arguments.number(0, "learningRate"),
                         .beta1 = beta1,
                         .beta2 = beta2,
                         .eps = arguments.number(3, "eps"),
                         .weight_decay = arguments.number(4, "weightDecay"),
                         .bias_correction1 = 1 - std::pow(beta1, t),
                         .bias_correction2 = 1 - std::pow(beta2, t),
                         .decoupled = arguments.boolean(5, "decoupled"),
                         .maximize = arguments.boolean(7, "maximize")};
  lists.for_each([&](auto zero, size_t i) {
    using T = decltype(zero);
    adam_step(lists.length(i), step, lists.elements<T>(0, i), lists.elements<T>(1, i), lists.elements<T>(2, i), lists.elements<T>(3, i),
              lists.optional_elements<T>(4, i));
  });
  return arguments.env().Undefined();
}

Napi::Value rmsprop_step_over(const Arguments& arguments, const KeptLists& lists) {
  const RmspropStep step = {.learning_rate = arguments.number(0, "learningRate"),
                            .alpha = arguments.number(1, "alpha"),
                            .eps = arguments.number(2, "eps"),
                            .weight_decay = arguments.number(3, "weightDecay"),
                            .momentum = arguments.number(4, "momentum"),
                            .maximize = arguments.boolean(5, "maximize")};
  lists.for_each([&](auto zero, size_t i) {
    using T = decltype(zero);
    rmsprop_step(lists.length(i), step, lists.elements<T>(0, i), lists.elements<T>(1, i), lists.elements<T>(2, i),
                 lists.optional_elements<T>(3, i), lists.optional_elements<T>(4, i));
  });
  return arguments.env().Undefined();
}

Napi::Value make_zero_pass(const Arguments& arguments) { return function_over<fill_zero_over>(arguments, {{"values"}}); }

Napi::Value make_finite_pass(const Arguments& arguments) { return function_over<find_non_finite_over>(arguments, {{"values"}}); }

Napi::Value make_within_pass(const Arguments& arguments) { return function_over<are_within_over>(arguments, {{"values"}}); }

Napi::Value make_copy_pass(const Arguments& arguments) { return function_over<copy_over>(arguments, {{"from"}, {"to"}}); }

Napi::Value make_sgd_pass(const Arguments& arguments) {
  return function_over<sgd_step_over>(arguments, {{"values"}, {"grads"}, {"momentumBuffers", true}});
}

Napi::Value make_adam_pass(const Arguments& arguments) {
  return function_over<adam_step_over>(arguments,
                                       {{"values"}, {"grads"}, {"firstMoments"}, {"secondMoments"}, {"largestSecondMoments", true}});
}

Napi::Value make_rmsprop_pass(const Arguments& arguments) {
  return function_over<rmsprop_step_over>(arguments,
                                          {{"values"}, {"grads"}, {"squareAverages"}, {"momentumBuffers", true}, {"gradAverages", true}});
}

}  // namespace

void register_training(Napi::Object exports) {
  add_function<point_loss_call>(exports, "pointLoss");
  add_function<cross_entropy_call>(exports, "crossEntropy");
  add_function<weighted_cross_entropy_call>(exports, "weightedCrossEntropy");
  add_function<norm_terms_call>(exports, "normTerms");
  add_function<make_zero_pass>(exports, "zeroPass");
  add_function<make_finite_pass>(exports, "finitePass");
  add_function<make_within_pass>(exports, "withinPass");
  add_function<make_copy_pass>(exports, "copyPass");
  add_function<scale_call>(exports, "scale");
  add_function<clamp_call>(exports, "clamp");
  add_function<make_sgd_pass>(exports, "sgdPass");
  add_function<make_adam_pass>(exports, "adamPass");
  add_function<make_rmsprop_pass>(exports, "rmspropPass");
}

}  // namespace evenkeel::binding
