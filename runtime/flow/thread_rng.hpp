#pragma once

#include "runtime/flow/rng.hpp"

#include <random>

namespace skep::flow {

/// This thread's generator, seeded by the system: for choices made on senders' threads.
inline rng& thread_rng() {
  thread_local rng random{std::random_device{}()};
  return random;
}

} // namespace skep::flow
