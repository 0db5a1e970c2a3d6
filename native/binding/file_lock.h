#pragma once

namespace evenkeel::binding {

// Takes the exclusive lock of an open file, which goes with its last descriptor.
// Returns false when another open file description holds it; throws std::runtime_error with the reason when the file cannot be locked.
bool try_lock(int descriptor);

}  // namespace evenkeel::binding
