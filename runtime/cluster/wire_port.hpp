#pragma once

// tidy: allow size, sessions, hops and the port are one protocol

#include "messages/envelope.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/cluster/wire_types.hpp"
#include "runtime/net/link_outbox.hpp"

#include <caf/actor.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::rt {

/// One session with one node, as far as calls are concerned. Made and ended by its port.
class wire_session {
public:
  wire_session(std::string node, incarnation life, std::shared_ptr<net::link_outbox> outbox)
    : node_(std::move(node)), life_(life), outbox_(std::move(outbox)) {}

  const std::string& node() const {
    return node_;
  }
  bool is_open() const {
    return open_.load(std::memory_order_acquire);
  }

private:
  friend class wire_port;

  const std::string node_;
  const incarnation life_;
  const std::shared_ptr<net::link_outbox> outbox_;
  std::atomic<bool> open_{true};
  // Of the thread that calls message_came and close.
  std::string last_name_;
  caf::actor last_target_;
  std::uint64_t last_changes_ = 0;
  std::mutex mutex_; // Guards what follows.
  caf::actor way_back_;
  std::unordered_map<std::uint64_t, lease_ptr> incoming_;
  std::map<std::string, caf::actor> handles_;
  std::unordered_map<std::uint64_t, caf::weak_actor_ptr> watched_;
  std::uint64_t last_watch_ = 0;
};

using wire_session_ptr = std::shared_ptr<wire_session>;

/// Who chose the node for a call and chooses again when that one does not even begin to answer.
/// Thread-safe.
class hop {
public:
  virtual ~hop() = default;
  /// The call at the member `token` names is over, one way or another.
  virtual void ended(std::uint64_t token) noexcept = 0;
  /// The member is lost, or has no room, and no part of an answer came: the same call once more,
  /// not to the members in `tried`.
  virtual void again(caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried,
                     const failure& why)
    = 0;
};

/// A hop taking part in one call; empty when nobody would choose again.
struct hop_ref {
  caf::strong_actor_ptr keep;
  hop* who = nullptr;
  std::uint64_t token = 0;
  std::vector<std::uint32_t> tried;
};

/// Where a call goes at the other node: by name, or by number when the name is empty.
struct wire_target {
  std::string name;
  actor_number number;
};

/// What crossed the wire as calls, and what of it is open. Counters only grow.
struct wire_stats {
  /// Envelopes of every kind that were queued.
  std::uint64_t messages_out = 0;
  std::uint64_t calls_out = 0;
  std::uint64_t calls_in = 0;
  std::uint64_t outgoing_open = 0;
  std::uint64_t incoming_open = 0;
  std::uint64_t lost = 0;
  std::uint64_t run_again = 0;
  std::uint64_t malformed = 0;
};

/// Calls between this node and others: turns messages to remote handles into envelopes, keeps the
/// tables of calls in flight in both directions, and turns what comes back into answers. Every call
/// that left gets exactly one end: an answer, or errc::node_down when its session ends. Thread-safe
/// except where it says otherwise.
class wire_port : public std::enable_shared_from_this<wire_port> {
public:
  /// A message to the node itself (target name "cluster"), which no actor serves.
  using system_handler
    = std::function<void(wire_session& from, std::uint32_t tag, std::string_view payload)>;

  /// `types` must be complete before the first call and outlive the port.
  static std::shared_ptr<wire_port> make(environment& env, const wire_types& types,
                                         incarnation self);
  wire_port(environment& env, const wire_types& types, incarnation self);
  ~wire_port();

  /// A session with `node` began; the thread that also calls close and message_came for it.
  wire_session_ptr open(std::string node, incarnation life,
                        std::shared_ptr<net::link_outbox> outbox);
  /// The session is over: its handles fire down, calls to it fail or run again elsewhere, calls
  /// from it are cancelled.
  void close(const wire_session_ptr& session, const failure& why);
  /// One message of the session; malformed ones are counted and logged.
  void message_came(const wire_session_ptr& session, std::string_view bytes);

  /// The handle of an actor at the session's node; ends (down) with the session or the actor. One
  /// per name and session.
  caf::actor handle(const wire_session_ptr& session, const wire_target& target);
  /// Sends a call there; every failure reaches the caller through the lease or goes to the hop.
  void call_out(const wire_session_ptr& to, const wire_target& target,
                caf::mailbox_element_ptr what, hop_ref chosen_by = {});
  /// Sends a message to the node itself.
  template <message T>
  void tell_node(wire_session& to, const T& value) {
    std::string payload;
    skep::encode(value, payload);
    tell_node(to, T::message_tag, payload);
  }

  /// Calls by number reach `who`; for force_wire.
  void publish(const caf::actor& who);
  void on_system(system_handler handler) {
    system_ = std::move(handler);
  }
  wire_stats stats() const;

private:
  friend class wire_relay;
  friend class wire_return;
  friend class remote_actor;

  struct outgoing {
    lease_ptr token;
    wire_session_ptr session;
    hop_ref chosen_by;
    /// The message, kept while it may have to run again.
    caf::message content;
    bool begun = false;
  };
  struct watcher {
    std::weak_ptr<wire_session> session;
    std::uint64_t key = 0;
  };

  void tell_node(wire_session& to, std::uint32_t tag, std::string_view payload);
  expected<void> push(wire_session& to, const envelope& head, std::string_view payload,
                      net::link_outbox::lane which);
  void push_answer(wire_session& to, const envelope& head, std::string_view payload);
  void notice(const caf::mailbox_element& what);
  void give_back(const wire_session_ptr& session, const caf::mailbox_element& what);
  std::uint64_t remember(outgoing entry);
  bool extract(std::uint64_t key, outgoing& entry);
  void lose(outgoing entry, const failure& why);
  const caf::actor& target_of(wire_session& from, const envelope& head);
  void request_came(const wire_session_ptr& from, decoded_envelope got);
  void answer_came(const wire_session_ptr& from, const decoded_envelope& got);
  void watch_came(const wire_session_ptr& from, const decoded_envelope& got);
  void down_came(wire_session& from, const decoded_envelope& got);
  void exit_came(const decoded_envelope& got);
  void send_exit(const wire_session_ptr& to, const wire_target& target, const failure& why);
  void target_ended(std::uint64_t id, const caf::error& why);
  caf::actor find_target(const envelope& head) const;
  lease_ptr incoming(wire_session& from, std::uint64_t correlation, bool forget);
  void count_malformed(const wire_session& from, const failure& why);

  environment& env_;
  const wire_types& types_;
  const incarnation self_;
  system_handler system_; // Set before the first session.
  caf::actor relay_;      // Holds the leases of calls that left.

  std::atomic<std::uint64_t> messages_out_{0};
  std::atomic<std::uint64_t> calls_out_{0};
  std::atomic<std::uint64_t> calls_in_{0};
  std::atomic<std::uint64_t> incoming_open_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> run_again_{0};
  std::atomic<std::uint64_t> malformed_{0};

  mutable std::mutex mutex_; // Guards what follows.
  std::uint64_t last_key_ = 0;
  std::unordered_map<std::uint64_t, outgoing> outgoing_;
  std::unordered_map<std::uint64_t, caf::actor> published_;
  std::unordered_map<std::uint64_t, std::vector<watcher>> watchers_;
};

} // namespace skep::rt
