#pragma once
#include <cstddef>

#include "kernels/kernels.h"

namespace evenkeel {

// Passes over one parameter's elements, cut for threads. All arrays: [count].

enum class NormOrder : unsigned char { kMax = 0, kSum = 1, kSquares = 2 };

// max|x|, Σ|x| or Σx² in double; NaN if any element is NaN. Throws std::bad_alloc.
template <typename T>
double norm_term(size_t count, const T* values, NormOrder order);

// Whether no element is NaN or infinite. Throws std::bad_alloc.
template <typename T>
bool is_finite(size_t count, const T* values);

// Whether no element is NaN or beyond ±limit; with `positive`, none is below zero either. limit ≥ 0. Throws std::bad_alloc.
template <typename T>
bool is_within(size_t count, const T* values, T limit, bool positive);

template <typename T>
void fill_zero(size_t count, T* values) noexcept;

template <typename T>
void copy(size_t count, const T* from, T* to) noexcept;

// values ← values · numerator / denominator, whatever T and double can hold of the quotient
template <typename T>
void scale(size_t count, double numerator, double denominator, T* values) noexcept;

// values ← min(max(values, −limit), limit); NaN stays
template <typename T>
void clamp(size_t count, double limit, T* values) noexcept;

// momentum_buffer: null without momentum
template <typename T>
void sgd_step(size_t count, const SgdStep& step, T* value, const T* grad, T* momentum_buffer) noexcept;

// largest_second_moment: null without AMSGrad
template <typename T>
void adam_step(size_t count, const AdamStep& step, T* value, const T* grad, T* first_moment, T* second_moment,
               T* largest_second_moment) noexcept;

// momentum_buffer: null without momentum   grad_average: null where not centred
template <typename T>
void rmsprop_step(size_t count, const RmspropStep& step, T* value, const T* grad, T* square_average, T* momentum_buffer,
                  T* grad_average) noexcept;

}  // namespace evenkeel
