#pragma once
#include <algorithm>
#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// Columns, and those that fill the last panel.
template <typename T>
size_t whole_panels(size_t cols) noexcept {
  const size_t panel = kernels<T>().panel_columns();
  return (cols + panel - 1) / panel * panel;
}

// A weight matrix [out, in] as the right operand of a product, packed once for many.
template <typename T>
class PackedWeights {
 public:
  // For a wᵀ with a [rows, in].   Throws std::bad_alloc.
  static PackedWeights transposed(size_t out, size_t in, const T* weight) { return PackedWeights(in, out, weight, 1, in); }
  // For a w with a [rows, out].   Throws std::bad_alloc.
  static PackedWeights plain(size_t out, size_t in, const T* weight) { return PackedWeights(out, in, weight, in, 1); }
  // The same, or nothing where the product is not wanted.
  static PackedWeights plain_if(bool wanted, size_t out, size_t in, const T* weight) { return plain(out, wanted ? in : 0, weight); }

  // The product of a [rows, k] with leading dimension with these weights.
  PanelOperand<T> times(const T* a, size_t lda) const noexcept { return {a, lda, panels_.get(), k_}; }
  static PanelOperand<T> none() noexcept { return {nullptr, 0, nullptr, 0}; }

 private:
  static constexpr size_t kElementsPerTask = 16384;

  PackedWeights(size_t k, size_t cols, const T* b, size_t k_stride, size_t col_stride) : k_(k), panels_(k * whole_panels<T>(cols)) {
    if (k * cols == 0) return;
    const size_t panel = kernels<T>().panel_columns();
    const size_t cols_per_task = panel * std::max<size_t>(1, kElementsPerTask / (panel * k));
    const size_t tasks = std::max<size_t>(1, cols / cols_per_task);
    parallel_for(tasks, [&](size_t task) {
      const size_t begin = task * cols_per_task;
      const size_t end = task + 1 == tasks ? cols : begin + cols_per_task;  // the last panel may be wider than the rest
      kernels<T>().pack_panels(k, end - begin, b + begin * col_stride, k_stride, col_stride, panels_.get() + begin * k);
    });
  }

  size_t k_;
  AlignedBuffer<T> panels_;
};

// A product that gives all gates, forward: those that are joint, and those that are separate, since they go to different places.
template <typename T>
struct GateWeights {
  PackedWeights<T> joint, separate;

  // weight: [G·H, in], of which the first rows are joint gates, the next separate ones   Throws std::bad_alloc.
  GateWeights(size_t joint_rows, size_t separate_rows, size_t in, const T* weight)
      : joint(PackedWeights<T>::transposed(joint_rows, in, weight)),
        separate(PackedWeights<T>::transposed(separate_rows, in, weight + joint_rows * in)) {}
  static GateWeights of_input(const Widths& w, const T* weight_ih) { return {w.joint_gates(), w.input_gates(), w.i, weight_ih}; }
  static GateWeights of_operand(const Widths& w, const T* weight_hh) { return {w.joint_gates(), w.separate_gates(), w.p, weight_hh}; }
};

// Both weights, forward.
template <typename T>
struct ForwardWeights {
  GateWeights<T> ih, hh;

  ForwardWeights(const Widths& w, const T* weight_ih, const T* weight_hh)
      : ih(GateWeights<T>::of_input(w, weight_ih)), hh(GateWeights<T>::of_operand(w, weight_hh)) {}
  explicit ForwardWeights(const ForwardPass<T>& pass) : ForwardWeights(pass.shape, pass.weight_ih, pass.weight_hh) {}
};

// The operands of dgates W_hh. Where they stand is how a kernel gets them: a copy, read in vectors, would wait for the members just
// written.
template <typename T>
struct StateProductOperands {
  PanelOperand<T> joint, separate;
  bool has_joint;

  const PanelOperand<T>& first() const noexcept { return has_joint ? joint : separate; }
  const PanelOperand<T>& second() const noexcept { return has_joint ? separate : joint; }
};

// Both weights, backward. W_hh multiplies the gradients of joint gates by those of x_t W_ihᵀ, which they share.
template <typename T>
struct BackwardWeights {
  PackedWeights<T> ih, hh_joint, hh_separate;

  explicit BackwardWeights(const BackwardPass<T>& pass) : BackwardWeights(pass.forward, pass.gradients.dinput != nullptr) {}

  // For gradients as of BackwardStep; gates that there are none of have no columns to multiply.
  StateProductOperands<T> times(const Widths& w, const T* dgates_x, const T* dgates_h) const noexcept {
    return {hh_joint.times(dgates_x, w.gates()), hh_separate.times(dgates_h, w.separate_gates()), w.separate < w.g};
  }

 private:
  BackwardWeights(const ForwardPass<T>& pass, bool wants_dinput)
      : ih(PackedWeights<T>::plain_if(wants_dinput, pass.shape.gates(), pass.shape.i, pass.weight_ih)),
        hh_joint(PackedWeights<T>::plain(pass.shape.joint_gates(), pass.shape.p, pass.weight_hh)),
        hh_separate(
            PackedWeights<T>::plain(pass.shape.separate_gates(), pass.shape.p, pass.weight_hh + pass.shape.joint_gates() * pass.shape.p)) {}
};

}  // namespace evenkeel
