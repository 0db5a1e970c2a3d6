#pragma once
#include <cstddef>

namespace evenkeel {

// Rows of an array of a step: row r begins at data + r · ld.
template <typename T>
struct StepArray {
  T* data = nullptr;
  size_t ld = 0;

  T* row(size_t r) const noexcept { return data + r * ld; }
  StepArray from(size_t column) const noexcept { return {data + column, ld}; }
  explicit operator bool() const noexcept { return data != nullptr; }
  // NOLINTNEXTLINE(google-explicit-constructor): as T* becomes const T*
  operator StepArray<const T>() const noexcept { return {data, ld}; }
};

// What the pointwise part of an LSTM's step reads and writes, each array [rows, units] but where something else is said. Of an array with
// several gates, and of a bias, unit u of gate g stands in column g · gate_stride + u.
template <typename T>
struct LstmForward {
  size_t gate_stride;
  StepArray<const T> products;  // a_t without its bias, of i, f, g, o
  StepArray<T> gates;           // σ, tanh of a_t: written; may be products
  const T* bias;
  StepArray<const T> cell_before;
  StepArray<T> cell;    // c_t = f ⊙ c_{t−1} + i ⊙ g: written
  StepArray<T> hidden;  // o ⊙ tanh(c_t): written; none where something else becomes of c_t first
  StepArray<T> output;  // the same once more; none for nowhere
};
// The part of it that follows c_t.
template <typename T>
struct LstmOutput {
  StepArray<const T> gate;  // o
  StepArray<const T> cell;  // what tanh is applied to
  StepArray<T> hidden;      // o ⊙ tanh(cell): written
  StepArray<T> output;      // the same once more; none for nowhere
};
template <typename T>
struct LstmBackward {
  size_t gate_stride;
  StepArray<const T> gates;  // i, f, g, o
  StepArray<const T> cell_before;
  StepArray<const T> cell;  // c_t
  StepArray<T> dhidden;  // ∂L/∂h_t; becomes zeros, since past the products nothing goes; none where LstmOutputBackward has given its part
  StepArray<T> dcell;    // ∂L/∂c_t without what comes from dhidden; becomes ∂L/∂c_{t−1}
  StepArray<T> dgates;  // ∂L/∂a_t: written; without dhidden all but o
};
template <typename T>
struct LstmOutputBackward {
  StepArray<const T> gate, cell, dhidden;
  StepArray<T> dgate;  // ∂L/∂a_o: written
  StepArray<T> dcell;  // ∂L/∂cell: written
};

// A GRU's: h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.
template <typename T>
struct GruForward {
  size_t gate_stride;
  StepArray<const T> products;   // for r and z of both operands, for n of x_t, without biases
  StepArray<const T> recurrent;  // n's product with h_{t−1}, without its bias
  const T* bias;                 // of r, z, n and `recurrent`
  StepArray<const T> before;
  StepArray<T> gates;            // r, z, n: written; may be products
  StepArray<T> saved_recurrent;  // recurrent with its bias: written; may be recurrent
  StepArray<T> hidden;           // h_t: written
  StepArray<T> output;           // the same once more; none for nowhere
};
template <typename T>
struct GruBackward {
  size_t gate_stride;
  StepArray<const T> gates;      // r, z, n
  StepArray<const T> recurrent;  // n's product with h_{t−1} and its bias
  StepArray<const T> before;
  StepArray<T> dhidden;     // ∂L/∂h_t; becomes what goes to h_{t−1} past the products
  StepArray<T> dgates;      // written
  StepArray<T> drecurrent;  // written
};

// The GRU whose reset comes before the product: n = tanh(x_t W_inᵀ + (r ⊙ operand) W_hnᵀ + biases).
template <typename T>
struct GruReset {
  size_t gate_stride;
  StepArray<const T> products;  // for r and z, without biases
  StepArray<T> gates;           // r and z: written; may be products
  const T* bias;
  StepArray<const T> operand;  // what r resets
  StepArray<T> reset;          // r ⊙ operand: written
};
template <typename T>
struct GruCandidate {
  StepArray<const T> update;   // z
  StepArray<const T> product;  // n's pre-activation, without its bias
  StepArray<T> candidate;      // n: written; may be product
  const T* bias;
  StepArray<const T> before;
  StepArray<T> hidden;
  StepArray<T> output;
};
template <typename T>
struct GruCandidateBackward {
  size_t gate_stride;
  StepArray<const T> gates;  // r, z, n
  StepArray<const T> before;
  StepArray<T> dhidden;  // ∂L/∂h_t; becomes what goes to h_{t−1} past the products
  StepArray<T> dgates;   // of z and n: written
};
template <typename T>
struct GruResetBackward {
  StepArray<const T> gate;  // r
  StepArray<const T> operand;
  StepArray<const T> dreset;  // ∂L/∂(r ⊙ operand)
  StepArray<T> dgate;         // ∂L/∂a_r: written
  StepArray<T> doperand;      // written
};

// The pointwise parts of gated cells (layers/cells). σ(x) = ½ + ½ tanh(x/2) of float, with an error of at most 2^−24, and 1/(1 + exp(−x))
// of double, with one of at most 2 ulp. In lanes all is as one row of units · lanes.
template <typename T>
struct GateKernels {  // gates.cc
  void (*lstm_forward)(size_t rows, size_t units, const LstmForward<T>& step);
  void (*lstm_output)(size_t rows, size_t units, const LstmOutput<T>& step);
  void (*lstm_backward)(size_t rows, size_t units, const LstmBackward<T>& step);
  void (*lstm_output_backward)(size_t rows, size_t units, const LstmOutputBackward<T>& step);
  void (*gru_forward)(size_t rows, size_t units, const GruForward<T>& step);
  void (*gru_backward)(size_t rows, size_t units, const GruBackward<T>& step);
  void (*gru_reset)(size_t rows, size_t units, const GruReset<T>& step);
  void (*gru_candidate)(size_t rows, size_t units, const GruCandidate<T>& step);
  void (*gru_candidate_backward)(size_t rows, size_t units, const GruCandidateBackward<T>& step);
  void (*gru_reset_backward)(size_t rows, size_t units, const GruResetBackward<T>& step);
};

}  // namespace evenkeel
