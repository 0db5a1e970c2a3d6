#pragma once
#include <cstddef>

#include "layers/cells/cell.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// The tangent dynamics of a recurrent layer by QR (Benettin et al. 1980; Vogt et al. 2020, arXiv:2006.14123): for each sequence and each
// step t = 1 … T, with the Jacobian J_t = ∂h_t/∂h_{t−1} of the forward pass that left `states`, J_t Q_{t−1} = Q_t R_t. What the cell's
// normalisations kept of that pass must be at hand.
// states: [N, T, H]   tangents: the columns of Q_0, orthonormal, each a row [N, count, H]; those of Q_T at the end
// log_growths: ln|R_t(i, i)| [N, T, count], −infinity where J_t takes nothing there   Throws std::bad_alloc.
void evolve_tangents(const RecurrentShape& shape, const Cell<double>& cell, const RecurrentInputs<double>& inputs, const double* states,
                     size_t count, double* tangents, double* log_growths);

}  // namespace evenkeel
