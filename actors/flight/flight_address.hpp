#pragma once

#include "runtime/actor/environment.hpp"

#include <caf/actor_proxy.hpp>

#include <vector>

namespace skep::actors {

/// "flight": this node's flights as its agents and other nodes reach them. Hands each call to the
/// flight actor of its key on the sender's thread, so that equal requests meet. Thread-safe.
class flight_address final : public caf::actor_proxy {
public:
  flight_address(caf::actor_config& config, std::vector<caf::actor> flights);
  ~flight_address() override;

  static caf::actor make(rt::environment& env, std::vector<caf::actor> flights);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override;

private:
  const std::vector<caf::actor> flights_;
};

} // namespace skep::actors
