#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "layers/recurrent/packed_weights.h"

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
    if (place == SumsIn::kPanels) kernels<T>().pack_panels(out, in, dweight, in, 1, sums_.of(0));
  }

  // Rows [begin, end) of dweight += aᵀ b with a [rows, out], b [rows, in], in the group's sum. The same bits in either place, where no
  // group but the first has more rows than one sum of the kernel.
  void add(size_t group, size_t rows, size_t begin, size_t end, const T* a, const T* b) const noexcept {
    if (place_ == SumsIn::kPanels) {
      kernels<T>().add_outer_products_in_panels(rows, begin, end, out_, in_, a, out_, b, in_, sums_.of(group));
    } else {
      kernels<T>().add_outer_products(rows, end - begin, in_, a + begin, out_, b, in_, dweight_ + begin * in_, in_);
    }
  }
  void add_up() const noexcept { sums_.add_up(); }

  // To dweight.
  void complete() const noexcept {
    if (place_ == SumsIn::kPanels) kernels<T>().unpack_panels(out_, in_, sums_.of(0), dweight_);
  }

 private:
  SumsIn place_;
  size_t out_, in_;
  T* dweight_;
  GroupSums<T> sums_;
};

}  // namespace evenkeel
