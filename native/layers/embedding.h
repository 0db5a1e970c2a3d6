#pragma once
#include <cstddef>
#include <cstdint>

namespace evenkeel {

// Rows of a table by their numbers. indices: [rows], each below the table's number of rows; below 0 for none.

// output[r, :] = weight[indices[r], :], zeros for none      weight: [vocabulary, width]   output: [rows, width]
template <typename T>
void embedding_forward(size_t rows, size_t width, const std::int32_t* indices, const T* weight, T* output) noexcept;

// dweight[i, :] += Σ_{r: indices[r] = i} doutput[r, :], in double, in the order of r whatever the number of threads.
// touched: the different indices, ascending [rows, or vocabulary if less]; returns how many. Throws std::bad_alloc.
template <typename T>
size_t embedding_backward(size_t rows, size_t width, const std::int32_t* indices, const T* doutput, T* dweight, std::int32_t* touched);

// to[r, :] = from[indices[r], :], or with scatter to[indices[r], :] = from[r, :]; each index once
template <typename T>
void gather_rows(size_t rows, size_t width, const std::int32_t* indices, const T* from, T* to) noexcept;
template <typename T>
void scatter_rows(size_t rows, size_t width, const std::int32_t* indices, const T* from, T* to) noexcept;

}  // namespace evenkeel
