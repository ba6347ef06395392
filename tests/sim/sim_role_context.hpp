#pragma once

#include "runtime/cluster/cluster.hpp"
#include "runtime/node/role.hpp"

#include <stdexcept>
#include <utility>

namespace skep::test {

/// What a role is built with in a simulated node: names, time, metrics and the cluster, no
/// configuration, HTTP client or drain. Children have no supervisor. It keeps what it publishes to
/// the rules of a real node.
class sim_role_context final : public rt::role_context {
public:
  /// Gets every actor that was started or published.
  using owner = std::function<void(const caf::actor&)>;
  using kind_maker
    = std::function<const rt::actor_kind&(const std::string&, const rt::mailbox_bounds&)>;

  sim_role_context(rt::environment& env, rt::cluster& port, kind_maker kinds, owner own)
    : env_(env), port_(port), kinds_(std::move(kinds)), own_(std::move(own)) {}

  expected<void> build(const rt::role& what) {
    role_ = &what;
    return what.build(*this);
  }

  rt::environment& env() override {
    return env_;
  }
  const config::document& config() override {
    throw std::logic_error{"a simulated node has no configuration"};
  }
  rt::node_status& status() override {
    throw std::logic_error{"a simulated node has no status"};
  }
  net::http_client& fetch() override {
    throw std::logic_error{"a simulated node has no HTTP client"};
  }
  rt::cluster_port& cluster() override {
    return port_;
  }
  const rt::actor_kind& kind(const std::string& name, const rt::mailbox_bounds& bounds) override {
    return kinds_(name, bounds);
  }
  std::uint64_t client_connections(std::uint64_t wanted) override {
    return wanted;
  }
  caf::actor supervise(rt::child_spec spec) override {
    const auto name = spec.name;
    const auto child = rt::supervisor::start_child(env_, std::move(spec));
    own_(child.instance);
    publish(name, child.guard_handle);
    return child.guard_handle;
  }
  void publish(std::string name, caf::actor who) override {
    if (!role_->covers(name))
      throw std::logic_error{"the role " + role_->name + " does not cover " + name};
    own_(who);
    env_.directory().add(std::move(name), std::move(who));
  }
  void serve(rt::http_endpoint) override {}
  const std::vector<rt::http_endpoint>& endpoints() const override {
    throw std::logic_error{"a simulated node has no HTTP clients"};
  }
  void when_built(std::function<expected<void>(rt::role_context&)>) override {}
  void on_drain(std::function<void()>) override {}
  void drained_when(std::function<bool()>) override {}
  void on_stop(std::function<void()>) override {}

private:
  rt::environment& env_;
  rt::cluster& port_;
  const kind_maker kinds_;
  const owner own_;
  const rt::role* role_ = nullptr;
};

} // namespace skep::test
