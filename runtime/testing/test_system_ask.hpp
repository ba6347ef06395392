#pragma once

// The templates of test_system that need the whole bounded actor.
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/testing/test_system.hpp"

namespace skep::rt {

template <message T>
std::shared_ptr<answers> test_system::ask(const caf::actor& to, T payload, skep::context context,
                                          std::uint64_t window) {
  auto into = std::make_shared<answers>();
  const auto key = prober().ask(to, std::move(context), std::move(payload), recorder(into), window);
  remember(into, key);
  run();
  return into;
}

template <message T>
void test_system::tell(const caf::actor& to, T payload) {
  prober().tell(to, context(), std::move(payload));
  run();
}

} // namespace skep::rt
