#pragma once
#include <cstddef>

#include "layers/recurrent/recurrent.h"

namespace evenkeel {

// The tangent dynamics of a recurrent layer by QR (Benettin et al. 1980; Vogt et al. 2020, arXiv:2006.14123): makes the forward pass,
// without a tape of the caller's, and for each sequence and each step t = 1 … T, with the Jacobian J_t = ∂state_t/∂state_{t−1}, J_t Q_{t−1}
// = Q_t R_t. tangents: the columns of Q_0, orthonormal, each a row [N, count, S]; those of Q_T at the end log_growths: ln|R_t(i, i)| [N, T,
// count], −infinity where J_t takes nothing there   Throws std::bad_alloc.
void evolve_tangents(ForwardPass<double> pass, size_t count, double* tangents, double* log_growths);

}  // namespace evenkeel
