#pragma once
#include <algorithm>
#include <cstddef>

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

// The gradient of a weight matrix [out, in], in panels until it is complete: the rows of a large matrix stand far apart.
template <typename T>
class PackedGradient {
 public:
  // dweight: [out, in], which the sums go on from   Throws std::bad_alloc.
  PackedGradient(size_t groups, size_t out, size_t in, T* dweight)
      : out_(out), in_(in), dweight_(dweight), sums_(groups, out * whole_panels<T>(in)) {
    kernels<T>().pack_panels(out, in, dweight, in, 1, sums_.of(0));
  }

  // Rows [begin, end) of dweight += aᵀ b with a [rows, out], b [rows, in], in the group's sum
  void add(size_t group, size_t rows, size_t begin, size_t end, const T* a, const T* b) const noexcept {
    kernels<T>().add_outer_products_in_panels(rows, begin, end, out_, in_, a, out_, b, in_, sums_.of(group));
  }
  void add_up() const noexcept { sums_.add_up(); }

  // To dweight.
  void complete() const noexcept { kernels<T>().unpack_panels(out_, in_, sums_.of(0), dweight_); }

 private:
  size_t out_, in_;
  T* dweight_;
  GroupSums<T> sums_;
};

}  // namespace evenkeel
