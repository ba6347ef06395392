#pragma once

// The actor handles behind a wire_port; private to runtime/cluster.
#include "runtime/cluster/wire_port.hpp"

#include <caf/actor_proxy.hpp>
#include <caf/make_actor.hpp>

namespace skep::rt {

/// A handle whose work is done by a port on the sender's thread.
class wire_proxy : public caf::actor_proxy {
public:
  wire_proxy(caf::actor_config& config, std::weak_ptr<wire_port> port)
    : actor_proxy(config), port_(std::move(port)) {}

  void kill_proxy(caf::execution_unit* unit, caf::error reason) override {
    cleanup(std::move(reason), unit);
  }

protected:
  std::shared_ptr<wire_port> port() const {
    return port_.lock();
  }

private:
  std::weak_ptr<wire_port> port_;
};

/// Holds the leases of calls that left: hears of their cancels and grants.
class wire_relay final : public wire_proxy {
public:
  using wire_proxy::wire_proxy;
  const char* name() const override;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
};

/// The caller of all calls of one session: what it is answered goes back over the wire.
class wire_return final : public wire_proxy {
public:
  wire_return(caf::actor_config& config, std::weak_ptr<wire_port> port, wire_session_ptr session)
    : wire_proxy(config, std::move(port)), session_(std::move(session)) {}
  const char* name() const override;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;

private:
  const std::weak_ptr<wire_session> session_;
};

/// An actor at another node.
class remote_actor final : public wire_proxy {
public:
  remote_actor(caf::actor_config& config, std::weak_ptr<wire_port> port, wire_session_ptr session,
               wire_target target)
    : wire_proxy(config, std::move(port)), session_(std::move(session)),
      target_(std::move(target)) {}
  const char* name() const override;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;

private:
  const wire_session_ptr session_;
  const wire_target target_;
};

template <class Proxy, class... Ts>
caf::actor make_proxy(environment& env, Ts&&... args) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<Proxy, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, std::forward<Ts>(args)...));
}

/// Ends a handle that make_proxy gave: monitors and links fire.
void end_proxy(const caf::actor& proxy, const caf::error& why);

} // namespace skep::rt
