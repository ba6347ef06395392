#include "runtime/cluster/solo_cluster.hpp"

#include <array>

namespace skep::rt {

namespace {

class solo_cluster final : public cluster_port {
public:
  solo_cluster(environment& env, std::string node) : env_(env), node_(std::move(node)) {
    auto view = std::make_shared<msg::cluster_view>();
    msg::member me;
    me.name = node_;
    view->members.push_back(std::move(me));
    auto made = std::make_shared<cluster_state>();
    made->view = std::move(view);
    made->slots = flow::slot_map{std::array{flow::slot_member{node_id(node_), 1.0}}, 1};
    made->before = made->slots;
    made->owning = true;
    state_ = std::move(made);
  }

  bool clustered() const override {
    return false;
  }
  const std::string& self() const override {
    return node_;
  }
  cluster_state_ptr state() const override {
    return state_;
  }
  subscription on_change(std::function<void(const cluster_state_ptr&)>) override {
    return std::make_shared<int>(); // It never changes.
  }
  caf::actor remote(const std::string&, const std::string& name) override {
    return env_.find(name);
  }
  caf::actor route(const std::string& name) override {
    return env_.find(name);
  }
  std::vector<std::string> nodes_of(std::string_view name) const override {
    return env_.directory().find(name) ? std::vector{node_} : std::vector<std::string>{};
  }
  std::vector<std::string> names(std::string_view prefix) const override {
    return env_.directory().names(prefix);
  }
  std::string trouble() const override {
    return {};
  }
  std::string describe() const override {
    return {};
  }
  expected<void> drain(const std::string&) override {
    return fail(errc::not_found, "this node is in no cluster: [cluster] name is not set");
  }

private:
  environment& env_;
  const std::string node_;
  cluster_state_ptr state_;
};

} // namespace

std::unique_ptr<cluster_port> make_solo_cluster(environment& env, std::string node) {
  return std::make_unique<solo_cluster>(env, std::move(node));
}

} // namespace skep::rt
