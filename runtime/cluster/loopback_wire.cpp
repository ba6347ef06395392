#include "runtime/cluster/loopback_wire.hpp"

#include "runtime/actor/handoff.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/cluster/wire_types.hpp"
#include "runtime/net/node_link.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace skep::rt {

namespace {

constexpr auto settle_deadline = std::chrono::seconds{5};

/// One of the two ends: a port and the link under it.
class end final : public net::link_events {
public:
  end(environment& env, const wire_types& types, std::uint64_t life, loopback_wire::delivery how)
    : system_(env.system()), port_(wire_port::make(env, types, incarnation{life})), life_(life),
      how_(how) {}

  expected<void> listen(const std::string& name) {
    net::link_config config;
    config.node = name;
    config.incarnation = life_;
    auto started = net::node_link::start(config, {}, *this);
    if (!started)
      return fail(started.error());
    link_ = std::move(*started);
    return {};
  }

  void connect(const std::string& name, const end& other) {
    link_->post([name, address = other.link_->endpoint()](net::link_core& core) {
      if (auto known = core.add_peer(name, address, clock::now()); !known)
        log::error("wire: {}", to_string(known.error()));
    });
  }

  /// The session with the other end; null when there is none within the deadline.
  wire_session_ptr wait_for_session() {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, settle_deadline, [this] { return session_ != nullptr; });
    return session_;
  }

  /// Hands on what came since; virtual time only.
  bool dispatch() {
    std::deque<std::string> arrived;
    wire_session_ptr session;
    {
      std::lock_guard guard{mutex_};
      arrived.swap(inbox_);
      session = session_;
    }
    for (const auto& bytes : arrived)
      port_->message_came(session, bytes);
    return !arrived.empty();
  }

  /// Waits until as many messages came as `other` has sent.
  void wait_for_all_of(const end& other) {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, settle_deadline,
                      [&] { return received_ >= other.port_->stats().messages_out; });
  }

  void close() {
    link_.reset();
    if (session_)
      port_->close(session_, failure{errc::shutting_down, "the wire is taken down"});
  }

  wire_port& port() {
    return *port_;
  }

  // -- net::link_events ---------------------------------------------------------------------------
  void peer_up(const net::link_peer_info& peer) override {
    auto made = port_->open(peer.hello.node, incarnation{peer.hello.incarnation}, peer.outbox);
    std::lock_guard guard{mutex_};
    session_ = std::move(made);
    changed_.notify_all();
  }
  void peer_down(const net::link_peer_info&, const failure& why) override {
    log::debug("wire: the session ended: {}", to_string(why));
  }
  void frame_begins() override {
    batch_.emplace(system_);
  }
  void frame_ends() override {
    batch_.reset();
  }
  void message_came(const net::link_peer_info&, std::string_view bytes) override {
    if (how_ == loopback_wire::delivery::at_once) {
      port_->message_came(session_, bytes);
      return;
    }
    std::lock_guard guard{mutex_};
    inbox_.emplace_back(bytes);
    ++received_;
    changed_.notify_all();
  }
  void beat_came(const net::link_peer_info&, std::string_view, std::optional<time_point>) override {
  }
  std::string beat_state() override {
    return {};
  }
  void refused(const msg::node_refusal& why, const std::string&, bool) override {
    log::error("wire: refused: {}", why.text);
  }
  void ticked(time_point) override {}

private:
  caf::actor_system& system_;
  const std::shared_ptr<wire_port> port_;
  const std::uint64_t life_;
  const loopback_wire::delivery how_;
  std::mutex mutex_; // Guards what follows.
  std::condition_variable changed_;
  wire_session_ptr session_; // Written once, before the first message.
  std::deque<std::string> inbox_;
  std::uint64_t received_ = 0;
  std::optional<wake_batch> batch_;      // The link's thread only.
  std::unique_ptr<net::node_link> link_; // Last: its thread ends before the rest goes.
};

} // namespace

struct loopback_wire::impl {
  impl(environment& env, delivery how) : here(env, types, 1, how), there(env, types, 2, how) {}

  wire_types types;
  end here;  // Where calls leave.
  end there; // Where they arrive.
  wire_session_ptr way_out;
  std::mutex mutex; // Guards what follows.
  std::unordered_map<std::uint64_t, caf::actor> wrapped;
};

expected<std::shared_ptr<loopback_wire>> loopback_wire::start(environment& env, delivery how) {
  auto state = std::make_shared<impl>(env, how);
  if (auto done = state->here.listen("here"); !done)
    return fail(done.error());
  if (auto done = state->there.listen("there"); !done)
    return fail(done.error());
  state->here.connect("there", state->there);
  state->there.connect("here", state->here);
  state->way_out = state->here.wait_for_session();
  if (!state->way_out || !state->there.wait_for_session())
    return fail(errc::transport_failed, "wire: no session over loopback within 5 s");
  return std::shared_ptr<loopback_wire>{new loopback_wire{std::move(state)}};
}

loopback_wire::loopback_wire(std::shared_ptr<impl> state) : impl_(std::move(state)) {}

loopback_wire::~loopback_wire() {
  impl_->here.close();
  impl_->there.close();
}

wire_types& loopback_wire::types() {
  return impl_->types;
}

caf::actor loopback_wire::wrap(const caf::actor& target) {
  std::lock_guard guard{impl_->mutex};
  auto& proxy = impl_->wrapped[target->id()];
  if (!proxy) {
    impl_->there.port().publish(target);
    proxy = impl_->here.port().handle(impl_->way_out, {{}, actor_number{target->id()}});
  }
  return proxy;
}

bool loopback_wire::settle() {
  impl_->there.wait_for_all_of(impl_->here);
  impl_->here.wait_for_all_of(impl_->there);
  const bool calls = impl_->there.dispatch();
  const bool answers = impl_->here.dispatch();
  return calls || answers;
}

} // namespace skep::rt
