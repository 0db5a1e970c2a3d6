#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/gate_kernels.h"
#include "kernels/loss_kernels.h"
#include "kernels/mask_kernels.h"

namespace evenkeel {

enum class Nonlinearity : std::uint8_t { kTanh = 0, kRelu = 1 };

// How an optimiser's hyperparameters reach its kernel. Decay and correction factors are computed in double by the caller.
struct SgdStep {
  double learning_rate, momentum, dampening, weight_decay;
  bool nesterov, maximize, first_step;
};
struct AdamStep {
  double learning_rate, beta1, beta2, eps, weight_decay, bias_correction1, bias_correction2;
  bool decoupled, maximize;
};
struct RmspropStep {
  double learning_rate, alpha, eps, weight_decay, momentum;
  bool maximize;
};

// A product's left operand a [rows, k], and its right one, b [k, cols], as pack_panels left it.
template <typename T>
struct PanelOperand {
  const T* a;
  size_t lda;
  const T* panels;
  size_t k;
};

// Epilogue of an Elman step, applied to a product's tile while it is in L1 (ScanKernels).
template <typename T>
struct ElmanForwardProduct {
  Nonlinearity nonlinearity;
  const T* bias;  // [cols]
  T* output;      // a second place for the states [rows, cols]
  size_t ld_output;
};
template <typename T>
struct ElmanBackwardProduct {
  Nonlinearity nonlinearity;
  const T* state;  // [rows, cols]
  size_t ld_state;
};

// PanelOperand for a group of sequences in lanes: a [k, lanes], b = weights [k, cols] with leading dimension.
template <typename T>
struct LanesOperand {
  const T* a;
  const T* weights;
  size_t ld;
  size_t k;
};

// What a normalisation keeps of each row for its backward pass, each [rows]. The row's mean is mean + residual: one T alone cannot hold it
// when the rows have a large offset. RMSNorm has rstd alone.
template <typename T>
struct RowStatistics {
  T* mean;
  T* residual;
  T* rstd;  // 1/√(var + ε), or 1/√(mean(a²) + ε)
};

// Every SIMD kernel for one element type, in a group for each source that is compiled once per SIMD target. Kernels take raw pointers,
// allocate nothing, throw nothing, run on one thread, and their result depends on their arguments alone. Rows are `size` elements long; a
// `stride` is the distance in elements between rows that are not packed.

template <typename T>
struct ScanKernels {  // scan.cc
  // --- Elman cell (cells/elman.cc): state = φ(preactivation + bias) --------------------------------------------------
  // preactivation, state: [rows, size], may be one array   bias: [size]   output: a second place for the states, with leading dimension;
  // null for none
  void (*elman_forward)(Nonlinearity nonlinearity, size_t rows, size_t size, const T* preactivation, const T* bias, T* state, T* output,
                        size_t ld_output);
  // dpreactivation = dstate ⊙ φ'(preactivation); tanh' = 1 − state², relu' = state > 0   all: [count]
  void (*elman_backward)(Nonlinearity nonlinearity, size_t count, const T* state, const T* dstate, T* dpreactivation);

  // --- Products of the scan over time (layers/recurrent) -------------------------------------------------------------
  // A matrix b [k, cols] that is multiplied with again and again is packed once, in panels of this many columns; the last may be wider
  size_t (*panel_columns)();
  // b[k, col] stands at b + k · k_stride + col · col_stride, one of which is 1   panels: [k, cols rounded up to panel_columns], 64-byte
  // aligned
  void (*pack_panels)(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride, T* panels);
  // b [k, cols] from its panels
  void (*unpack_panels)(size_t k, size_t cols, const T* panels, T* b);
  // c = start + Σ a b over the two operands, the second with k = 0 where there is only one. start: [rows, cols] with leading dimension,
  // 0 for the same row each time; may be c; null for zeros. Each element is one chain of multiply-adds in the order of the operands and of
  // k, however rows and columns are grouped: a row's result does not depend on the rows that are computed with it.
  void (*multiply_panels)(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second, const T* start,
                          size_t ld_start, T* c, size_t ldc);
  // state = φ(start + Σ a b + bias), there and in elman.output
  void (*multiply_panels_elman_forward)(size_t rows, size_t cols, const PanelOperand<T>& first, const PanelOperand<T>& second,
                                        const T* start, size_t ld_start, const ElmanForwardProduct<T>& elman, T* state, size_t ld_state);
  // dpreactivation = (start + a b) ⊙ φ'(elman.state)
  void (*multiply_panels_elman_backward)(size_t rows, size_t cols, const PanelOperand<T>& operand, const T* start, size_t ld_start,
                                         const ElmanBackwardProduct<T>& elman, T* dpreactivation, size_t ld);
  // c += aᵀ b   a: [rows, m]   b: [rows, n]   c: [m, n]. The order of each element's sum depends on `rows` alone
  void (*add_outer_products)(size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc);
  // The same in rows [begin, end) of c, which stands in panels: its tiles follow each other in memory
  void (*add_outer_products_in_panels)(size_t rows, size_t begin, size_t end, size_t m, size_t n, const T* a, size_t lda, const T* b,
                                       size_t ldb, T* panels);
};

// What pack_row_matrix left of a matrix [k, cols].
template <typename T>
struct RowMatrix {
  const T* packed;
  size_t k;
  bool from_last = false;  // traverse columns in reverse, as on odd steps, to reuse what L1 still holds
};

// Those of a cell's gates [k, cols] each, one `stride` elements after the other.
template <typename T>
struct RowMatrices {
  size_t count;
  const T* packed;
  size_t stride;
  size_t k;
  bool from_last = false;
};

// A step of the Elman cell for one row, some or all of its units. The next step has this one's `next` for its operand, which is stored
// there in whole vectors, since a processor reads slowly what it has just stored in parts.
template <typename T>
struct ElmanForwardRow {
  T* operand;      // h_{t−1}, or the part of it that is not in start's products yet [k]
  const T* start;  // the pre-activation but for this operand's product [cols]
  T* next;         // h_t [cols], 64-byte aligned
  T* state;        // h_t [cols]
};
template <typename T>
struct ElmanBackwardRow {
  T* operand;         // ∂L/∂a_{t+1}, or the part of it that is not in start's products yet [k]
  const T* start;     // ∂L/∂h_t but for this operand's product and the output's share [cols]; null for zeros
  const T* doutput;   // that share [cols]; null for zeros
  const T* state;     // h_t [cols]
  T* next;            // ∂L/∂a_t [cols], 64-byte aligned
  T* dpreactivation;  // ∂L/∂a_t [cols]
};

template <typename T>
struct SingleKernels {  // single.cc
  // --- One sequence (layers/recurrent/single.cc) ---------------------------------------------------------------------
  // Elements of a vector. Whoever computes a part of a row's columns starts at a multiple of it, and an operand [k] can be read, and is
  // zero, up to the next multiple
  size_t (*row_lanes)();
  // b[k, col] stands at b + k · k_stride + col · col_stride, one of which is 1   packed: [k, cols], both rounded up to row_lanes, 64-byte
  // aligned
  void (*pack_row_matrix)(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride, T* packed);
  // c = start + a b   a: [k]   b: [k, cols]   start, c: [cols], may be one array; start null for zeros. The order of a sum depends on k
  // alone
  void (*multiply_row)(size_t cols, const T* a, const RowMatrix<T>& b, const T* start, T* c);
  // The same for each gate, with the bits of so many calls: c_g = start_g + a b_g   start_g, c_g: ld elements apart
  void (*multiply_row_by_each)(size_t cols, const T* a, const RowMatrices<T>& b, const T* start, T* c, size_t ld);
  // Likewise c = (a_0 b_0 + a_1 b_1 + …) + start   a_g: lda elements apart
  void (*multiply_row_by_sum)(size_t cols, const T* a, size_t lda, const RowMatrices<T>& b, const T* start, T* c);
  // state = φ(start + operand b), in as many steps: rows `stride` apart, forward; double-buffered: `next` and `operand` are swapped after
  // each
  void (*elman_forward_steps)(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b,
                              const ElmanForwardRow<T>& first);
  // dpreactivation = φ'(state) ⊙ (doutput + (start + operand b)), likewise, backward; only the first step has a start
  void (*elman_backward_steps)(Nonlinearity nonlinearity, size_t steps, size_t cols, size_t stride, const RowMatrix<T>& b,
                               const ElmanBackwardRow<T>& first);
};

// Arrays "in lanes" hold a group of sequences, one in each lane of a vector: [size, lanes], 64-byte aligned.
template <typename T>
struct LanesKernels {  // lanes.cc
  size_t (*lane_count)();
  // to [size, lanes] = fromᵀ   from: [rows, size] with leading dimension, at most lane_count rows; lanes beyond them are zero
  void (*to_lanes)(size_t rows, size_t size, const T* from, size_t ld, T* to);
  void (*from_lanes)(size_t rows, size_t size, const T* from, T* to, size_t ld);
  // c = Σ a b over the two operands, the second with k = 0 where there is only one, + start   start, c: [cols, lanes]; start null for
  // zeros, and added at the end, so that a sum does not depend on whether it is added here or later
  void (*multiply_in_lanes)(size_t cols, const LanesOperand<T>& first, const LanesOperand<T>& second, const T* start, T* c);
  // sums = Σ_step Σ_lane aᵀ b   a: [m, lanes], b: [n, lanes], from step to step a_step and b_step elements further   sums: [m, n], written
  void (*sum_products_in_lanes)(size_t steps, size_t m, size_t n, const T* a, size_t a_step, const T* b, size_t b_step, T* sums);
  // elman_forward for preactivation, state: [size, lanes]; elman_backward serves both layouts
  void (*elman_forward_in_lanes)(Nonlinearity nonlinearity, size_t size, const T* preactivation, const T* bias, T* state);
};

template <typename T>
struct NormKernels {  // normalization.cc
  // --- Normalisation (layers/normalization.cc); all rows packed ------------------------------------------------------
  // weight: [size] or null for ones   bias: null for zeros; [size] where ld_bias is 0, else one for each row with this leading dimension,
  // may be output. streams: output or dinput goes past the caches, for arrays that they cannot hold
  void (*layer_norm_forward)(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                             const RowStatistics<T>& statistics, bool streams);
  // dweight, dbias: added to, or null; [size] where ld_sums is 0, else each row's own, with this leading dimension   dinput: may be null,
  // where ld_sums is 0 and dweight is not null   next: rows to prefetch meanwhile, as many as there are; null for none
  void (*layer_norm_backward)(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& statistics,
                              const T* doutput, T* dinput, T* dweight, T* dbias, size_t ld_sums, bool streams, const T* next);
  void (*rms_norm_forward)(size_t rows, size_t size, T eps, const T* input, const T* weight, const T* bias, size_t ld_bias, T* output,
                           const RowStatistics<T>& statistics, bool streams);
  void (*rms_norm_backward)(size_t rows, size_t size, const T* input, const T* weight, const RowStatistics<T>& statistics, const T* doutput,
                            T* dinput, T* dweight, T* dbias, size_t ld_sums, bool streams, const T* next);
};

template <typename T>
struct ArrayKernels {  // arrays.cc
  // --- Pointwise and sums --------------------------------------------------------------------------------------------
  // output[r, :] = values; the start of a product that is added to a bias
  void (*fill_rows)(size_t rows, size_t size, const T* values, T* output);
  // to[r, :] = from[r, :], each with leading dimension. Much faster than a call of memcpy for each short row
  void (*copy_rows)(size_t rows, size_t size, const T* from, size_t ld_from, T* to, size_t ld_to);
  // sums[:] += Σ_r input[r, :]
  void (*add_rows)(size_t rows, size_t size, const T* input, T* sums);
  // target += source
  void (*add)(size_t count, const T* source, T* target);
  void (*scale)(size_t count, T factor, T* values);
  // NaN stays NaN
  void (*clamp)(size_t count, T limit, T* values);
  // Σ|x|, Σx², max|x| in double; NaN if any element is NaN
  double (*sum_abs)(size_t count, const T* values);
  double (*sum_squares)(size_t count, const T* values);
  double (*max_abs)(size_t count, const T* values);

  // --- The machine's limits (layers/machine.cc) ----------------------------------------------------------------------
  // Independent chains of fused multiply-adds in registers; returns how many floating-point operations that was, two per multiply-add
  double (*fma_chains)(size_t rounds, T* sink);
  // Σ values, at the speed at which memory delivers them
  T (*sum)(size_t count, const T* values);

  // --- Optimisers: one parameter's step, PyTorch's equations; momentum_buffer, largest_second_moment, grad_average: null for none
  // ---------------------------------------------------------
  void (*sgd_step)(size_t count, const SgdStep& step, T* value, const T* grad, T* momentum_buffer);
  void (*adam_step)(size_t count, const AdamStep& step, T* value, const T* grad, T* first_moment, T* second_moment,
                    T* largest_second_moment);
  void (*rmsprop_step)(size_t count, const RmspropStep& step, T* value, const T* grad, T* square_average, T* momentum_buffer,
                       T* grad_average);
};

template <typename T>
struct Kernels : ScanKernels<T>,
                 LanesKernels<T>,
                 SingleKernels<T>,
                 NormKernels<T>,
                 GateKernels<T>,
                 MaskKernels<T>,
                 LossKernels<T>,
                 ArrayKernels<T> {};

// The kernels of the SIMD target in use, chosen once per process.
template <typename T>
const Kernels<T>& kernels();

namespace simd {
// The target in use: the best the CPU has, or the one that EVENKEEL_SIMD names. Throws std::invalid_argument for a name it does not have.
const char* target_name();
// All targets that this CPU can run, best first.
std::vector<std::string> target_names();
}  // namespace simd

}  // namespace evenkeel
