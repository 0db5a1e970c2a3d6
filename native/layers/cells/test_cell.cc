#include "layers/cells/test_cell.h"

#include <cmath>

namespace evenkeel {
namespace {

Widths widths(const CellOptions& o) { return {.i = o.input, .h = o.hidden, .p = o.hidden, .s = 2 * o.hidden, .g = 2, .separate = 1}; }

CellTraits traits(const CellOptions& o) { return {.tape = 3 * o.hidden, .direct = true}; }

std::vector<ParameterSize> parameters(const CellOptions& o) { return {{"biasIh", 2 * o.hidden}, {"biasHh", 2 * o.hidden}}; }

// u = σ(x W_uᵀ + h W_huᵀ + b_u + b_hu);  q = h W_hvᵀ + b_hv;  v = tanh(x W_vᵀ + b_v + u ⊙ q)
// c_t = u ⊙ c_{t−1} + (1 − u) ⊙ v;  h_t = v ⊙ c_t + h_{t−1}/2
template <typename T>
class TestCell final : public Cell<T> {
 public:
  TestCell(const CellOptions& options, const CellCall<T>& call)
      : Cell<T>(widths(options), traits(options)),
        h_(options.hidden),
        bias_ih_(call.value(2)),
        bias_hh_(call.value(3)),
        dbias_ih_(call.gradient(2)),
        dbias_hh_(call.gradient(3)) {}

  T* saved_gates_x(const StepRows<T>& step) const noexcept override { return step.kept(0, 2 * h_); }
  T* saved_gates_h(const StepRows<T>& step) const noexcept override { return step.kept(2 * h_, h_); }

  void forward(const ForwardStep<T>& step) const noexcept override {
    T* kept = step.kept(0, 2 * h_);
    T* gates = kept == nullptr ? step.gates_x : kept;
    T* kept_q = step.kept(2 * h_, h_);
    T* qs = kept_q == nullptr ? step.gates_h : kept_q;
    for_each(step, [&](size_t row, size_t unit) {
      const size_t at_u = at(step, row, unit, 2 * h_), at_v = at(step, row, h_ + unit, 2 * h_), at_q = at(step, row, unit, h_);
      const size_t at_h = at(step, row, unit, 2 * h_), at_c = at(step, row, h_ + unit, 2 * h_);
      const T u = 1 / (1 + std::exp(-(step.gates_x[at_u] + bias_ih_[unit] + bias_hh_[unit])));
      const T q = step.gates_h[at_q] + bias_hh_[h_ + unit];
      const T v = std::tanh(step.gates_x[at_v] + bias_ih_[h_ + unit] + u * q);
      gates[at_u] = u;
      gates[at_v] = v;
      qs[at_q] = q;
      step.state[at_c] = u * step.previous[at_c] + (1 - u) * v;
      step.state[at_h] = v * step.state[at_c] + step.previous[at_h] / 2;
      if (step.output != nullptr) step.output[row * step.ld_output + unit] = step.state[at_h];
    });
  }

  void backward(const BackwardStep<T>& step) const noexcept override {
    const T* gates = step.kept(0, 2 * h_);
    const T* qs = step.kept(2 * h_, h_);
    for_each(step, [&](size_t row, size_t unit) {
      const size_t at_u = at(step, row, unit, 2 * h_), at_v = at(step, row, h_ + unit, 2 * h_), at_q = at(step, row, unit, h_);
      const size_t at_h = at_u, at_c = at_v;
      const T u = gates[at_u], v = gates[at_v], q = qs[at_q];
      const T dh = step.dstate[at_h];
      const T dc = step.dstate[at_c] + dh * v;
      const T dv = (dh * step.state[at_c] + dc * (1 - u)) * (1 - v * v);
      const T du = dc * (step.previous[at_c] - v) + dv * q;
      step.dgates_x[at_u] = du * u * (1 - u);
      step.dgates_x[at_v] = dv;
      step.dgates_h[at_q] = dv * u;
      step.dstate[at_h] = dh / 2;
      step.dstate[at_c] = dc * u;
    });
  }

  void tangents(const TangentStep<T>& step) const noexcept override {
    const T* gates = step.kept(0, 2 * h_);
    const T* qs = step.kept(2 * h_, h_);
    for (size_t k = 0; k < step.count; ++k) {
      const T* products = step.gates_h + k * 2 * h_;
      T* tangent = step.tangents + k * 2 * h_;
      for (size_t unit = 0; unit < h_; ++unit) {
        const T u = gates[unit], v = gates[h_ + unit];
        const T du = u * (1 - u) * products[unit];
        const T dv = (1 - v * v) * (du * qs[unit] + u * products[h_ + unit]);
        const T dc = du * step.previous[h_ + unit] + u * tangent[h_ + unit] + (1 - u) * dv - du * v;
        tangent[unit] = dv * step.state[h_ + unit] + v * dc + tangent[unit] / 2;
        tangent[h_ + unit] = dc;
      }
    }
  }

  void accumulate_sums(const T* dgates_x, const T* dgates_h) const noexcept override {
    kernels<T>().add(2 * h_, dgates_x, dbias_ih_);
    kernels<T>().add(h_, dgates_x, dbias_hh_);
    kernels<T>().add(h_, dgates_h, dbias_hh_ + h_);
  }

 private:
  static size_t at(const StepRows<T>& step, size_t row, size_t column, size_t width) noexcept {
    return step.lanes > 0 ? column * step.lanes + row : row * width + column;
  }
  template <typename Body>
  static void for_each(const StepRows<T>& step, Body&& body) noexcept {
    const size_t rows = step.lanes > 0 ? step.lanes : step.rows;
    for (size_t row = 0; row < rows; ++row) {
      for (size_t unit = step.unit; unit < step.unit + step.units; ++unit) body(row, unit);
    }
  }

  size_t h_;
  const T* bias_ih_;
  const T* bias_hh_;
  T* dbias_ih_;
  T* dbias_hh_;
};

template <typename T>
std::unique_ptr<Cell<T>> make(const CellOptions& options, const CellCall<T>& call) {
  return std::make_unique<TestCell<T>>(options, call);
}

}  // namespace

constexpr CellKind kTestCell = {"test", widths, traits, parameters, make<float>, make<double>};

}  // namespace evenkeel
