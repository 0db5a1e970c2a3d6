#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/packed_weights.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// A gradient that groups of sequences add to at the same time: each has a sum of its own, and they are added up in their order.
template <typename T>
class GroupSums {
 public:
  // All of them zero. Throws std::bad_alloc.
  GroupSums(size_t groups, size_t size) : groups_(groups), size_(size), sums_(groups * size) { clear(0); }

  T* of(size_t group) const noexcept { return sums_.get() + group * size_; }

  // The group `first` and those after it become zero.
  void clear(size_t first) const noexcept { std::fill(of(first), of(groups_), T{0}); }

  // The first group's sum becomes that of all, the others zero.
  void add_up() const noexcept {
    constexpr size_t kPerTask = 8192;
    parallel_ranges(size_, kPerTask, [&](size_t begin, size_t end) {
      for (size_t group = 1; group < groups_; ++group) {
        kernels<T>().add(end - begin, of(group) + begin, of(0) + begin);
        std::fill(of(group) + begin, of(group) + end, T{0});
      }
    });
  }

 private:
  size_t groups_;
  size_t size_;
  AlignedBuffer<T> sums_;  // [groups, size]
};

// Where a gradient's sums stand until they are complete.
enum class SumsIn : std::uint8_t {
  kPanels,    // the rows of a large matrix stand far apart
  kGradient,  // there at once, where they are added to too few times to be worth the way to panels and back; groups one after the other
};

// The gradient of a weight matrix [out, in].
template <typename T>
class WeightGradient {
 public:
  // dweight: [out, in], which the sums go on from   Throws std::bad_alloc.
  WeightGradient(SumsIn place, size_t groups, size_t out, size_t in, T* dweight)
      : place_(place), out_(out), in_(in), dweight_(dweight), sums_(groups, place == SumsIn::kPanels ? out * whole_panels<T>(in) : 0) {
    if (place == SumsIn::kPanels && out > 0) kernels<T>().pack_panels(out, in, dweight, in, 1, sums_.of(0));
  }

  // Rows [begin, end) of dweight += aᵀ b with a [rows, out], b [rows, in], in the group's sum. The same bits in either place, where no
  // group but the first has more rows than one sum of the kernel.
  void add(size_t group, size_t rows, size_t begin, size_t end, const Rows<T>& a, const Rows<T>& b) const noexcept {
    if (begin >= end) return;
    if (place_ == SumsIn::kPanels) {
      kernels<T>().add_outer_products_in_panels(rows, begin, end, out_, in_, a.data, a.stride, b.data, b.stride, sums_.of(group));
    } else {
      kernels<T>().add_outer_products(rows, end - begin, in_, a.data + begin, a.stride, b.data, b.stride, dweight_ + begin * in_, in_);
    }
  }
  void add_up() const noexcept { sums_.add_up(); }

  // To dweight.
  void complete() const noexcept {
    if (place_ == SumsIn::kPanels && out_ > 0) kernels<T>().unpack_panels(out_, in_, sums_.of(0), dweight_);
  }

 private:
  SumsIn place_;
  size_t out_, in_;
  T* dweight_;
  GroupSums<T> sums_;
};

// The rows that a block leaves for the weights' gradients, as of BackwardStep.
template <typename T>
struct GradientRows {
  const T* dgates_x;    // [rows, G·H]
  const T* dgates_h;    // [rows, separate_gates()]
  const T* inputs;      // [rows, I]
  Rows<T> hh_operands;  // [rows, P]
};

// The gradients of both weights.
template <typename T>
class WeightGradients {
 public:
  // Throws std::bad_alloc.
  WeightGradients(SumsIn place, size_t groups, const Widths& w, const RecurrentGradients<T>& gradients)
      : w_(w),
        joint_(place, groups, w.joint_gates(), w.p, gradients.dweight_hh),
        separate_(place, groups, w.separate_gates(), w.p, gradients.dweight_hh + w.joint_gates() * w.p),
        ih_(place, groups, w.gates(), w.i, gradients.dweight_ih) {}

  // Rows [begin, end) of both gradients, which are [G·H, ·].
  void add(size_t group, size_t rows, size_t begin, size_t end, const GradientRows<T>& from) const noexcept {
    const size_t joint = w_.joint_gates(), width = w_.gates();
    const Rows<T> dgates_x = {from.dgates_x, width};
    joint_.add(group, rows, begin, std::min(end, joint), dgates_x, from.hh_operands);
    const size_t separate = w_.separate_gates();
    separate_.add(group, rows, std::max(begin, joint) - joint, std::min(std::max(end, joint) - joint, separate), {from.dgates_h, separate},
                  from.hh_operands);
    ih_.add(group, rows, begin, end, dgates_x, {from.inputs, w_.i});
  }
  void add_up() const noexcept {
    for (const WeightGradient<T>* of : {&joint_, &separate_, &ih_}) of->add_up();
  }
  void complete() const noexcept {
    for (const WeightGradient<T>* of : {&joint_, &separate_, &ih_}) of->complete();
  }

 private:
  Widths w_;
  WeightGradient<T> joint_, separate_, ih_;
};

}  // namespace evenkeel
