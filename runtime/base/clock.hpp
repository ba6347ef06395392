#pragma once

#include <chrono>

namespace skep {

/// The clock of deadlines and time-outs: monotonic, and virtual in tests. Pure classes never read
/// it; they take `now` as an argument.
using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;

using namespace std::chrono_literals;

} // namespace skep
