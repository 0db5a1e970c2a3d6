#include <cmath>

#include "binding/arguments.h"
#include "kernels/kernels.h"
#include "layers/loss.h"
#include "layers/optimizer.h"

namespace evenkeel::binding {
namespace {

Napi::Value mean_squared_error_call(const Arguments& arguments) {
  const double loss = with_element_type(arguments, 0, "output", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "output");
    if (count == 0) {
      fail(arguments.env(), "ERR_STATE", "output: expected at least one element. Was its buffer transferred to another thread?");
    }
    return mean_squared_error(count, arguments.array<T>(0, "output", count), arguments.array<T>(1, "target", count),
                              arguments.array<T>(2, "grad", count));
  });
  return Napi::Number::New(arguments.env(), loss);
}

const int32_t* checked_labels(const Arguments& arguments, size_t index, size_t rows, size_t classes) {
  const int32_t* labels = arguments.array<int32_t>(index, "labels", rows);
  for (size_t row = 0; row < rows; ++row) {
    if (labels[row] < 0 || static_cast<size_t>(labels[row]) >= classes) {
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
    return cross_entropy(rows, classes, arguments.array<T>(2, "logits", count), checked_labels(arguments, 3, rows, classes),
                         arguments.array<T>(4, "grad", count));
  });
  return Napi::Number::New(arguments.env(), loss);
}

Napi::Value norm_term_call(const Arguments& arguments) {
  const NormOrder order = static_cast<NormOrder>(arguments.integer(1, "order", 0, 2));
  const double term = with_element_type(arguments, 0, "values", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "values");
    return norm_term(count, arguments.array<T>(0, "values", count), order);
  });
  return Napi::Number::New(arguments.env(), term);
}

Napi::Value scale_call(const Arguments& arguments) {
  with_element_type(arguments, 0, "values", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "values");
    scale(count, static_cast<T>(arguments.number(1, "factor")), arguments.array<T>(0, "values", count));
  });
  return arguments.env().Undefined();
}

Napi::Value clamp_call(const Arguments& arguments) {
  with_element_type(arguments, 0, "values", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "values");
    clamp(count, static_cast<T>(arguments.number(1, "limit")), arguments.array<T>(0, "values", count));
  });
  return arguments.env().Undefined();
}

Napi::Value sgd_step_call(const Arguments& arguments) {
  with_element_type(arguments, 0, "value", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "value");
    const SgdStep step = {.learning_rate = arguments.number(3, "learningRate"),
                          .momentum = arguments.number(4, "momentum"),
                          .weight_decay = arguments.number(6, "weightDecay"),
                          .nesterov = arguments.boolean(5, "nesterov"),
                          .first_step = arguments.boolean(7, "firstStep")};
    sgd_step(count, step, arguments.array<T>(0, "value", count), arguments.array<T>(1, "grad", count),
             arguments.optional_array<T>(2, "momentumBuffer", count));
  });
  return arguments.env().Undefined();
}

Napi::Value adam_step_call(const Arguments& arguments) {
  with_element_type(arguments, 0, "value", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "value");
    const double beta1 = arguments.number(5, "beta1");
    const double beta2 = arguments.number(6, "beta2");
    const double t = arguments.number(10, "step");
    const AdamStep step = {.learning_rate = arguments.number(4, "learningRate"),
                           .beta1 = beta1,
                           .beta2 = beta2,
                           .eps = arguments.number(7, "eps"),
                           .weight_decay = arguments.number(8, "weightDecay"),
                           .bias_correction1 = 1 - std::pow(beta1, t),
                           .bias_correction2 = 1 - std::pow(beta2, t),
                           .decoupled = arguments.boolean(9, "decoupled")};
    adam_step(count, step, arguments.array<T>(0, "value", count), arguments.array<T>(1, "grad", count),
              arguments.array<T>(2, "firstMoment", count), arguments.array<T>(3, "secondMoment", count));
  });
  return arguments.env().Undefined();
}

Napi::Value rmsprop_step_call(const Arguments& arguments) {
  with_element_type(arguments, 0, "value", [&](auto zero) {
    using T = decltype(zero);
    const size_t count = arguments.length(0, "value");
    const RmspropStep step = {.learning_rate = arguments.number(4, "learningRate"),
                              .alpha = arguments.number(5, "alpha"),
                              .eps = arguments.number(6, "eps"),
                              .weight_decay = arguments.number(7, "weightDecay"),
                              .momentum = arguments.number(8, "momentum")};
    rmsprop_step(count, step, arguments.array<T>(0, "value", count), arguments.array<T>(1, "grad", count),
                 arguments.array<T>(2, "squareAverage", count), arguments.optional_array<T>(3, "momentumBuffer", count));
  });
  return arguments.env().Undefined();
}

}  // namespace

void register_training(Napi::Object exports) {
  add_function<mean_squared_error_call>(exports, "meanSquaredError");
  add_function<cross_entropy_call>(exports, "crossEntropy");
  add_function<norm_term_call>(exports, "normTerm");
  add_function<scale_call>(exports, "scale");
  add_function<clamp_call>(exports, "clamp");
  add_function<sgd_step_call>(exports, "sgdStep");
  add_function<adam_step_call>(exports, "adamStep");
  add_function<rmsprop_step_call>(exports, "rmspropStep");
}

}  // namespace evenkeel::binding
