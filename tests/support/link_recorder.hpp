#pragma once

// What a node_link's events said, readable from the test's thread.
#include "runtime/net/node_link.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace skep::test {

/// Asks again and again for at most 20 seconds.
template <class Predicate>
bool link_eventually(Predicate done) {
  const auto deadline = clock::now() + 20s;
  while (!done()) {
    if (clock::now() > deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

class link_recorder final : public net::link_events {
public:
  void peer_up(const net::link_peer_info& peer) override {
    const std::lock_guard guard{mutex_};
    outboxes_[peer.hello.node] = peer.outbox;
    log_.push_back("up " + peer.hello.node);
  }
  void peer_down(const net::link_peer_info& peer, const failure& why) override {
    const std::lock_guard guard{mutex_};
    outboxes_.erase(peer.hello.node);
    log_.push_back("down " + peer.hello.node + " " + std::string{to_string(why.code)});
  }
  void message_came(const net::link_peer_info& peer, std::string_view bytes) override {
    if (on_message)
      on_message(peer, bytes);
  }
  void beat_came(const net::link_peer_info&, std::string_view,
                 std::optional<time_point> echoed_at) override {
    const std::lock_guard guard{mutex_};
    echoed_ += echoed_at ? 1 : 0;
  }
  std::string beat_state() override {
    return "state";
  }
  void refused(const msg::node_refusal& why, const std::string&, bool) override {
    const std::lock_guard guard{mutex_};
    refusals_.push_back(why);
  }
  void ticked(time_point) override {
    const std::lock_guard guard{mutex_};
    ++ticks_;
  }

  /// The outbox of a live session, or null.
  std::shared_ptr<net::link_outbox> outbox(const std::string& peer) const {
    const std::lock_guard guard{mutex_};
    const auto entry = outboxes_.find(peer);
    return entry != outboxes_.end() ? entry->second : nullptr;
  }
  std::vector<std::string> log() const {
    const std::lock_guard guard{mutex_};
    return log_;
  }
  std::vector<msg::node_refusal> refusals() const {
    const std::lock_guard guard{mutex_};
    return refusals_;
  }
  std::size_t count(const std::string& event) const {
    const auto all = log();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), event));
  }
  int echoed() const {
    const std::lock_guard guard{mutex_};
    return echoed_;
  }
  int ticks() const {
    const std::lock_guard guard{mutex_};
    return ticks_;
  }

  /// Set before the link starts; on its thread.
  std::function<void(const net::link_peer_info&, std::string_view)> on_message;

private:
  mutable std::mutex mutex_; // Guards what follows.
  std::map<std::string, std::shared_ptr<net::link_outbox>> outboxes_;
  std::vector<std::string> log_;
  std::vector<msg::node_refusal> refusals_;
  int echoed_ = 0;
  int ticks_ = 0;
};

/// A link and its recorder.
struct recorded_link {
  using message_handler = decltype(link_recorder::on_message);

  explicit recorded_link(net::link_config config, net::link_keys keys = {},
                         message_handler on_message = {}) {
    events.on_message = std::move(on_message);
    auto started = net::node_link::start(std::move(config), std::move(keys), events);
    if (started)
      link = std::move(*started);
    else
      why = started.error();
  }
  void add(const std::string& name, const std::string& address) const {
    link->post([name, address](net::link_core& core) {
      static_cast<void>(core.add_peer(name, address, clock::now()));
    });
  }
  bool up(const std::string& peer) const {
    return link_eventually([&] { return events.outbox(peer) != nullptr; });
  }
  /// Sends, and tries again when the queue is full. False: the session is gone.
  bool say(const std::string& peer, std::string_view text) const {
    const auto outbox = events.outbox(peer);
    while (outbox) {
      const auto done = outbox->push(text);
      if (done)
        return true;
      if (done.error().code != errc::overloaded)
        return false;
      std::this_thread::yield();
    }
    return false;
  }

  link_recorder events;
  failure why;
  std::unique_ptr<net::node_link> link;
};

inline net::link_config real_link_config(const std::string& name) {
  net::link_config config;
  config.node = name;
  config.beat_interval = 50ms;
  config.hello_interval = 20ms;
  config.hello_interval_max = 100ms;
  return config;
}

} // namespace skep::test
