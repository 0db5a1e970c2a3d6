#pragma once
#include "layers/cells/cells.h"

namespace evenkeel {

// A cell for test/native alone, with all that a cell may have: two gates, one of them separate, a state wider than what is put
// out, a direct part, a tape.
extern const CellKind kTestCell;

}  // namespace evenkeel
