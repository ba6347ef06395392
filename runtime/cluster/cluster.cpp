#include "runtime/cluster/cluster.hpp"

#include "messages/codec.hpp"
#include "runtime/base/log.hpp"

#include <algorithm>
#include <mutex>

namespace skep::rt {

namespace {

// What a membership says of itself when nothing is wrong.
constexpr std::string_view well = "quorum";

// What one peer may announce.
constexpr std::size_t names_max = 4096;
constexpr std::size_t name_bytes_max = 256;

flow::slot_map slots_of(const msg::cluster_view& view, std::uint32_t copies) {
  std::vector<flow::slot_member> owners;
  for (const auto& each : view.members)
    if (each.weight > 0 && !each.draining)
      owners.push_back({node_id(each.name), static_cast<double>(each.weight)});
  return {owners, std::min(copies, flow::slot_map::copies_max)};
}

} // namespace

cluster::cluster(environment& env, const wire_types& types, cluster_rules rules)
  : env_(env), rules_(std::move(rules)),
    port_(wire_port::make(env, types, incarnation{rules_.self.incarnation})),
    detector_(rules_.detector), state_(std::make_shared<const cluster_state>()),
    members_gauge_(env.metrics().gauge("skep_cluster_members", "Nodes of the view in force.")),
    view_gauge_(env.metrics().gauge("skep_cluster_view", "Number of the view in force.")),
    quorum_gauge_(env.metrics().gauge("skep_cluster_quorum",
                                      "1: what this node owns it may serve; 0: it must not.")),
    slots_gauge_(env.metrics().gauge("skep_cluster_slots_owned", "Slots this node owns.")),
    lost_peers_(env.metrics().counter("skep_cluster_peers_lost_total",
                                      "Sessions ended because the peer fell silent.")) {
  port_->on_system([this](wire_session& from, std::uint32_t tag, std::string_view payload) {
    system_message(from, tag, payload);
  });
  const auto total = [&](const char* name, const char* help, std::uint64_t wire_stats::*field) {
    metrics_.push_back(env_.metrics().counter_callback(
      name, help, {}, [this, field] { return static_cast<double>(port_->stats().*field); }));
  };
  total("skep_wire_calls_out_total", "Calls sent to other nodes.", &wire_stats::calls_out);
  total("skep_wire_calls_in_total", "Calls that came from other nodes.", &wire_stats::calls_in);
  total("skep_wire_calls_lost_total", "Calls that failed with their node.", &wire_stats::lost);
  total("skep_wire_calls_run_again_total", "Calls run again on another node.",
        &wire_stats::run_again);
  total("skep_wire_malformed_total", "Envelopes refused.", &wire_stats::malformed);
  metrics_.push_back(env_.metrics().gauge_callback(
    "skep_wire_calls_open", "Calls at other nodes not yet answered.", {},
    [this] { return static_cast<double>(port_->stats().outgoing_open); }));
  metrics_.push_back(env_.metrics().gauge_callback(
    "skep_wire_calls_served", "Calls of other nodes at work here.", {},
    [this] { return static_cast<double>(port_->stats().incoming_open); }));
}

cluster::~cluster() {
  stop();
}

void cluster::start(const std::string& address, net::link_core& core, poster post,
                    const membership_maker& make, time_point now) {
  rules_.self.address = address;
  core_ = &core;
  post_ = std::move(post);
  membership_events events;
  events.installed = [this](const view_ptr& view) { view_installed(view); };
  events.changed = [this] {
    if (core_ != nullptr && members_)
      core_->beat_now(env_.now());
  };
  members_ = make(rules_.self, std::move(events));
  if (members_->view())
    view_installed(members_->view());
  for (const auto& [name, where] : rules_.seeds)
    if (name != rules_.self.name)
      if (auto known = core.add_peer(name, where, now); !known)
        log::error("cluster: {}", to_string(known.error()));
  greet_early_peers(now);
  members_->tick(now);
  show_owning(now);
  std::shared_lock guard{mutex_};
  for (const auto& [name, handle] : routes_)
    rt::route::of(handle).set_local(env_.reach(env_.directory().find(name)), node_id(self()));
}

/// The sockets may have been faster than our start.
void cluster::greet_early_peers(time_point now) {
  std::vector<msg::node_hello> early;
  {
    std::shared_lock guard{mutex_};
    for (const auto& [name, each] : peers_)
      early.push_back(each.info.hello);
  }
  for (const auto& hello : early)
    introduce(hello, now);
}

/// Tells the membership of a node; foreign peers, which have no configuration, are no members.
void cluster::introduce(const msg::node_hello& hello, time_point now) {
  if (members_ && hello.config_digest != 0)
    members_->peer_up({hello.node, hello.incarnation, hello.address, 1, false}, now);
}

void cluster::leave_membership() {
  if (members_)
    members_->leave();
  members_.reset();
}

void cluster::stop() {
  core_ = nullptr;
  post_ = nullptr;
  decltype(peers_) gone;
  decltype(routes_) routes;
  {
    std::unique_lock guard{mutex_};
    gone.swap(peers_);
    routes.swap(routes_);
  }
  for (const auto& [name, each] : gone)
    port_->close(each.session, failure{errc::shutting_down, "this node is stopping"});
}

// -- sessions, on the link's thread ---------------------------------------------------------------

void cluster::peer_up(const net::link_peer_info& info) {
  const auto& hello = info.hello;
  const auto now = env_.now();
  auto session = port_->open(hello.node, incarnation{hello.incarnation}, info.outbox);
  {
    std::unique_lock guard{mutex_};
    peers_[hello.node] = peer_node{info, session, {}, false};
    refusals_.erase(hello.node);
  }
  detector_.watch(hello.node, now);
  log::info("cluster: {} is up at {}", hello.node, hello.address);
  introduce(hello, now);
  port_->tell_node(*session, msg::node_announce{env_.directory().names("")});
}

void cluster::peer_down(const net::link_peer_info& info, const failure& why) {
  const auto& node = info.hello.node;
  set_names(node, {});
  wire_session_ptr session;
  {
    std::unique_lock guard{mutex_};
    if (auto entry = peers_.find(node); entry != peers_.end()) {
      session = entry->second.session;
      peers_.erase(entry);
    }
  }
  detector_.forget(node);
  if (why.code == errc::shutting_down) // One of the two leaves in good order.
    log::info("cluster: the link to {} ends: {}", node, why.detail);
  else
    log::warn("cluster: {} is down: {}", node, to_string(why));
  if (session)
    port_->close(session, why);
  if (members_)
    members_->peer_down(node, env_.now());
}

void cluster::message_came(const net::link_peer_info& info, std::string_view bytes) {
  if (const auto session = session_of(info.hello.node))
    port_->message_came(session, bytes);
}

wire_session_ptr cluster::session_of(const std::string& node) const {
  std::shared_lock guard{mutex_};
  const auto entry = peers_.find(node);
  return entry != peers_.end() ? entry->second.session : nullptr;
}

void cluster::system_message(wire_session& from, std::uint32_t tag, std::string_view payload) {
  if (tag == msg::node_announce::message_tag) {
    if (auto told = decode<msg::node_announce>(payload))
      announced(from.node(), std::move(told->names));
  } else if (tag == msg::node_drain_request::message_tag && drain_requested_) {
    log::info("cluster: {} asks this node to drain", from.node());
    drain_requested_();
  }
}

void cluster::announced(const std::string& node, std::vector<std::string> names) {
  std::erase_if(
    names, [](const std::string& name) { return name.empty() || name.size() > name_bytes_max; });
  if (names.size() > names_max) {
    log::warn("cluster: {} announces {} names; {} are kept", node, names.size(), names_max);
    names.resize(names_max);
  }
  std::sort(names.begin(), names.end());
  set_names(node, std::move(names));
}

/// The names a node serves from now on; routes follow.
void cluster::set_names(const std::string& node, std::vector<std::string> names) {
  std::unique_lock guard{mutex_};
  const auto entry = peers_.find(node);
  if (entry == peers_.end())
    return;
  auto before = std::exchange(entry->second.names, std::move(names));
  const auto& now = entry->second.names;
  for (const auto& [name, handle] : routes_) {
    const bool had = std::binary_search(before.begin(), before.end(), name);
    const bool has = std::binary_search(now.begin(), now.end(), name);
    if (had && !has)
      rt::route::of(handle).remove(node);
    if (has && !had)
      rt::route::of(handle).add(entry->second.session, node_id(node), 1);
    if (has && entry->second.draining)
      rt::route::of(handle).enable(node, false);
  }
}

// -- membership, on the link's thread -------------------------------------------------------------

std::string cluster::beat_state() {
  std::string bytes;
  if (members_)
    encode(members_->state(), bytes);
  return bytes;
}

void cluster::beat_came(const net::link_peer_info& info, std::string_view state,
                        std::optional<time_point> echoed_at) {
  if (state.empty() || !members_)
    return; // A foreign peer, which is no member.
  const auto told = decode<msg::member_state>(state);
  if (!told || told->self.name != info.hello.node)
    return;
  {
    std::unique_lock guard{mutex_};
    auto entry = peers_.find(info.hello.node);
    if (entry != peers_.end() && entry->second.draining != told->self.draining) {
      entry->second.draining = told->self.draining;
      for (const auto& [name, handle] : routes_)
        rt::route::of(handle).enable(info.hello.node, !told->self.draining);
    }
  }
  members_->state_came(*told, echoed_at, env_.now());
}

void cluster::view_installed(const view_ptr& view) {
  auto next = *state();
  next.view = view;
  next.before = next.slots;
  next.slots = slots_of(*view, rules_.copies);
  std::string names;
  for (const auto& each : view->members) {
    names += (names.empty() ? "" : ", ") + each.name + (each.draining ? " (draining)" : "");
    if (core_ != nullptr && each.name != self())
      if (auto known = core_->add_peer(each.name, each.address, env_.now()); !known)
        log::warn("cluster: {}", to_string(known.error()));
  }
  log::info("cluster: view {} by {}: {}", view->number, view->proposer, names);
  next.owning = members_ && members_->has_quorum(env_.now());
  publish(std::move(next));
}

void cluster::publish(cluster_state next) {
  const auto fresh = std::make_shared<const cluster_state>(std::move(next));
  {
    std::lock_guard guard{state_lock_};
    state_ = fresh;
  }
  const auto mine = node_id(self());
  std::int64_t owned = 0;
  for (std::uint32_t slot = 0; slot < flow::slot_map::slot_count; ++slot)
    if (const auto owners = fresh->slots.owners(slot); !owners.empty() && owners.front() == mine)
      ++owned;
  slots_gauge_.set(fresh->owning ? owned : 0);
  quorum_gauge_.set(fresh->owning ? 1 : 0);
  view_gauge_.set(static_cast<std::int64_t>(fresh->view ? fresh->view->number : 0));
  members_gauge_.set(static_cast<std::int64_t>(fresh->view ? fresh->view->members.size() : 0));
  std::vector<std::shared_ptr<subscriber>> told;
  {
    std::unique_lock guard{mutex_};
    std::erase_if(subscribers_, [](const auto& each) { return each.expired(); });
    for (const auto& each : subscribers_)
      if (auto alive = each.lock())
        told.push_back(std::move(alive));
  }
  for (const auto& each : told)
    each->fn(fresh);
}

void cluster::ticked(time_point now) {
  if (!members_ || core_ == nullptr)
    return;
  close_lost(now);
  members_->tick(now);
  show_owning(now);
  refresh_links(now);
}

void cluster::close_lost(time_point now) {
  std::vector<std::string> known;
  {
    std::shared_lock guard{mutex_};
    for (const auto& [name, each] : peers_)
      known.push_back(name);
  }
  for (const auto& name : known)
    if (const auto at = core_->last_heard(name))
      detector_.heard(name, *at);
  detector_.tick(now);
  for (const auto& name : detector_.lost(now)) {
    const auto at = core_->last_heard(name);
    const auto silent = at ? std::chrono::duration_cast<std::chrono::milliseconds>(now - *at)
                           : std::chrono::milliseconds{};
    lost_peers_.inc();
    core_->close_session(
      name, failure{errc::node_down, "silent for " + std::to_string(silent.count()) + " ms"}, now);
  }
}

void cluster::show_owning(time_point now) {
  const bool owning = members_->has_quorum(now);
  auto standing = members_->standing(now);
  if (state()->owning != owning) {
    log::info("cluster: {}", standing);
    auto next = *state();
    next.owning = owning;
    publish(std::move(next));
  } else if ((standing == well) != (standing_ == well)) {
    log::event(standing == well ? log::level::info : log::level::warn, {}, "cluster: {}", standing);
  }
  std::unique_lock guard{mutex_};
  standing_ = std::move(standing);
}

void cluster::refresh_links(time_point now) {
  auto links = core_->peers();
  std::map<std::string, double> phi;
  for (const auto& each : links)
    if (each.up)
      phi[each.name] = detector_.phi(each.name, now);
  std::unique_lock guard{mutex_};
  links_ = std::move(links);
  phi_ = std::move(phi);
}

void cluster::refused(const msg::node_refusal& why, const std::string& peer, bool by_us) {
  const auto text = by_us ? "refused " + peer + ": " + why.text
                          : "refused by " + (peer.empty() ? why.node : peer) + ": " + why.text;
  std::unique_lock guard{mutex_};
  auto& last = refusals_[peer];
  if (last == text)
    return;
  last = text;
  log::error("cluster: {}", text);
  // Names are chosen by strangers.
  while (refusals_.size() > 64)
    refusals_.erase(refusals_.begin());
}

// -- for everybody --------------------------------------------------------------------------------

cluster_state_ptr cluster::state() const {
  std::lock_guard guard{state_lock_};
  return state_;
}

cluster_port::subscription cluster::on_change(std::function<void(const cluster_state_ptr&)> fn) {
  auto made = std::make_shared<subscriber>(subscriber{std::move(fn)});
  std::unique_lock guard{mutex_};
  subscribers_.push_back(made);
  return made;
}

caf::actor cluster::remote(const std::string& node, const std::string& name) {
  if (node == self())
    return env_.reach(env_.directory().find(name));
  auto session = session_of(node);
  if (!session) {
    auto outbox = std::make_shared<net::link_outbox>(node, net::link_outbox::bounds{}, [] {});
    session = port_->open(node, incarnation{}, std::move(outbox));
    port_->close(session, failure{errc::node_down, "there is no session with it"});
  }
  return port_->handle(session, {name, {}});
}

void cluster::fill_route(const std::string& name, const caf::actor& handle) {
  auto& made = rt::route::of(handle);
  made.set_local(env_.reach(env_.directory().find(name)), node_id(self()));
  for (const auto& [node, each] : peers_) {
    if (!std::binary_search(each.names.begin(), each.names.end(), name))
      continue;
    made.add(each.session, node_id(node), 1);
    if (each.draining)
      made.enable(node, false);
  }
}

caf::actor cluster::route(const std::string& name) {
  std::unique_lock guard{mutex_};
  auto& handle = routes_[name];
  if (!handle) {
    handle = rt::route::make(env_, port_, name, rules_.routes);
    fill_route(name, handle);
  }
  return handle;
}

/// Whether any node may serve the name.
bool cluster::is_shared(std::string_view name) const {
  return std::any_of(rules_.families.begin(), rules_.families.end(), [&](const name_family& each) {
    return each.scope == name_scope::cluster && each.covers(name);
  });
}

caf::actor cluster::find(std::string_view name) {
  auto here = env_.directory().find(name);
  if (!is_shared(name))
    return env_.reach(here);
  if (!here && nodes_of(name).empty())
    return nullptr;
  return route(std::string{name});
}

std::vector<std::string> cluster::nodes_of(std::string_view name) const {
  std::vector<std::string> found;
  if (env_.directory().find(name))
    found.push_back(self());
  std::shared_lock guard{mutex_};
  for (const auto& [node, each] : peers_)
    if (std::binary_search(each.names.begin(), each.names.end(), name))
      found.push_back(node);
  return found;
}

std::vector<std::string> cluster::names(std::string_view prefix) const {
  auto all = env_.directory().names(prefix);
  std::shared_lock guard{mutex_};
  for (const auto& [node, each] : peers_)
    for (const auto& name : each.names)
      if (name.starts_with(prefix))
        all.push_back(name);
  guard.unlock();
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::string cluster::trouble() const {
  std::shared_lock guard{mutex_};
  std::string text = standing_ == well ? "" : standing_;
  for (const auto& [peer, why] : refusals_)
    if (why.starts_with("refused by"))
      text += (text.empty() ? "" : "; ") + why;
  return text;
}

// -- leaving --------------------------------------------------------------------------------------

void cluster::leave() {
  {
    std::unique_lock guard{mutex_};
    if (std::exchange(leaving_, true))
      return;
  }
  if (post_)
    post_([this](net::link_core&) {
      if (members_)
        members_->drain(env_.now());
    });
}

bool cluster::has_left() const {
  const auto now = state();
  const auto* mine = now->member_of(node_id(self()));
  const bool alone = now->view && now->view->members.size() == 1;
  return !now->owning || mine == nullptr || mine->draining || alone;
}

expected<void> cluster::drain(const std::string& node) {
  if (node == self()) {
    if (drain_requested_)
      drain_requested_();
    return {};
  }
  const auto session = session_of(node);
  if (!session)
    return fail(errc::not_found, "there is no session with a node " + node);
  port_->tell_node(*session, msg::node_drain_request{});
  return {};
}

} // namespace skep::rt
