#pragma once

// tidy: allow size, a whole cluster for tests, with its network

// Several nodes of one cluster above one test_system: views are set by the test, node by node, and
// what nodes send each other can be held back and delivered one by one.
#include "runtime/actor/call.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/testing/test_system.hpp"

#include <caf/actor_proxy.hpp>
#include <caf/make_actor.hpp>

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <set>

namespace skep::test {

class fake_cluster;

/// One node's end of a fake cluster.
class fake_port final : public rt::cluster_port {
public:
  fake_port(fake_cluster& net, std::string name)
    : net_(net), name_(std::move(name)), state_(std::make_shared<rt::cluster_state>()) {}

  bool clustered() const override {
    return true;
  }
  const std::string& self() const override {
    return name_;
  }
  rt::cluster_state_ptr state() const override {
    return state_;
  }
  subscription on_change(std::function<void(const rt::cluster_state_ptr&)> fn) override {
    auto kept = std::make_shared<std::function<void(const rt::cluster_state_ptr&)>>(std::move(fn));
    subscribers_.push_back(kept);
    return kept;
  }
  caf::actor remote(const std::string& node, const std::string& name) override;
  caf::actor route(const std::string&) override {
    return nullptr;
  }
  std::vector<std::string> nodes_of(std::string_view) const override {
    return {};
  }
  std::vector<std::string> names(std::string_view) const override {
    return {};
  }
  std::string trouble() const override {
    return {};
  }
  std::string describe() const override {
    return {};
  }
  expected<void> drain(const std::string&) override {
    return {};
  }

  /// Publishes a state as the cluster engine does: readable first, then told.
  void set(rt::cluster_state next) {
    next.before = state_->slots;
    publish(std::move(next));
    tell();
  }
  void set_owning(bool owning) {
    auto next = *state_;
    next.owning = owning;
    publish(std::move(next));
    tell();
  }
  /// The two halves of set().
  void publish(rt::cluster_state next) {
    state_ = std::make_shared<const rt::cluster_state>(std::move(next));
  }
  void tell() {
    for (const auto& each : subscribers_)
      if (const auto alive = each.lock())
        (*alive)(state_);
  }

private:
  fake_cluster& net_;
  const std::string name_;
  rt::cluster_state_ptr state_;
  std::vector<std::weak_ptr<std::function<void(const rt::cluster_state_ptr&)>>> subscribers_;
};

/// The network between them. Must outlive the actors; clear() before the test_system ends.
class fake_cluster {
public:
  /// One message on its way.
  struct parcel {
    std::string from;
    std::string to;
    std::string name;
    caf::mailbox_element_ptr what;
  };

  fake_port& add(const std::string& name) {
    return *ports_.emplace(name, std::make_unique<fake_port>(*this, name)).first->second;
  }
  void use(rt::environment& env) {
    env_ = &env;
  }
  void publish(const std::string& node, const std::string& name, caf::actor who) {
    served_[{node, name}] = std::move(who);
  }

  /// A view of these members, for fake_port::set. `incarnations`: 1 for those not listed.
  static rt::cluster_state state(std::uint64_t number, const std::vector<std::string>& names,
                                 std::uint32_t copies, const std::set<std::string>& draining = {},
                                 const std::map<std::string, std::uint64_t>& incarnations = {}) {
    auto view = std::make_shared<msg::cluster_view>();
    view->number = number;
    std::vector<flow::slot_member> owners;
    for (const auto& name : names) {
      msg::member each;
      each.name = name;
      each.draining = draining.count(name) != 0;
      const auto life = incarnations.find(name);
      each.incarnation = life == incarnations.end() ? 1 : life->second;
      view->members.push_back(each);
      if (!each.draining)
        owners.push_back({rt::node_id(name), 1.0});
    }
    rt::cluster_state made;
    made.view = std::move(view);
    made.slots = flow::slot_map{owners, copies};
    made.owning = true;
    return made;
  }

  void set_down(const std::string& node, bool down) {
    if (down)
      down_.insert(node);
    else
      down_.erase(node);
  }
  /// Messages this chooses wait for deliver(); null lets everything pass at once.
  std::function<bool(const caf::mailbox_element&)> holds;
  std::uint64_t sent = 0;

  std::size_t held() const {
    return held_.size();
  }
  /// Delivers the n-th held message, or an earlier one of the same two nodes: links keep order.
  void deliver(std::size_t n) {
    auto at = std::next(held_.begin(), static_cast<std::ptrdiff_t>(n));
    const auto first = std::find_if(held_.begin(), at, [&](const parcel& each) {
      return each.from == at->from && each.to == at->to;
    });
    auto next = std::move(*first);
    held_.erase(first);
    arrive(std::move(next));
  }
  void deliver_all() {
    while (!held_.empty())
      deliver(0);
  }
  void clear() {
    held_.clear();
    served_.clear();
  }

  void send(parcel p) {
    ++sent;
    if (is_down(p))
      fail(*p.what);
    else if (holds && holds(*p.what))
      held_.push_back(std::move(p));
    else
      arrive(std::move(p));
  }
  rt::environment& env() {
    return *env_;
  }
  /// The actor a node serves under a name; null when there is none.
  caf::actor served(const std::string& node, const std::string& name) const {
    const auto entry = served_.find({node, name});
    return entry == served_.end() ? nullptr : entry->second;
  }

private:
  bool is_down(const parcel& p) const {
    return down_.count(p.from) != 0 || down_.count(p.to) != 0;
  }
  static void fail(caf::mailbox_element& what) {
    if (const auto token = rt::ensure_lease(what))
      token->fail(failure{errc::node_down, "there is no session"});
  }
  void arrive(parcel p) {
    const auto to = served(p.to, p.name);
    if (is_down(p) || !to)
      fail(*p.what);
    else
      to->enqueue(std::move(p.what), nullptr);
  }

  rt::environment* env_ = nullptr;
  std::map<std::string, std::unique_ptr<fake_port>> ports_;
  std::map<std::pair<std::string, std::string>, caf::actor> served_;
  std::set<std::string> down_;
  std::list<parcel> held_;
};

/// What remote() gives.
class fake_link final : public caf::actor_proxy {
public:
  fake_link(caf::actor_config& config, fake_cluster& net, std::string from, std::string to,
            std::string name)
    : actor_proxy(config), net_(net), from_(std::move(from)), to_(std::move(to)),
      name_(std::move(name)) {}

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    net_.send({from_, to_, name_, std::move(what)});
  }
  void kill_proxy(caf::execution_unit*, caf::error) override {}

private:
  fake_cluster& net_;
  const std::string from_;
  const std::string to_;
  const std::string name_;
};

inline caf::actor fake_port::remote(const std::string& node, const std::string& name) {
  if (node == name_)
    return net_.served(node, name);
  caf::actor_config config;
  auto& system = net_.env().system();
  return caf::actor_cast<caf::actor>(caf::make_actor<fake_link, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, net_, name_, node, name));
}

} // namespace skep::test
