#pragma once

#include "runtime/net/link_core.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace skep::net {

/// CURVE keys: who we are, and who may come. Empty: plain, for loopback and trusted networks.
struct link_keys {
  /// Z85 text, 40 characters each.
  std::string public_key;
  std::string secret_key;
  /// Node name and public key of every node that may connect (ours need not be there).
  std::vector<std::pair<std::string, std::string>> allowed;
};

/// A fresh pair of CURVE keys in Z85 text.
std::pair<std::string, std::string> make_link_keys();

/// A node's link on real sockets: one thread owns a ROUTER for what comes and a DEALER per peer for
/// what goes (the Harmony pattern of the ZeroMQ guide, chapter 8), runs a link_core over them and
/// calls its events. The thread sleeps in zmq_poll until a frame comes, an outbox wakes it through
/// an eventfd or the core's next tick is due.
class node_link final : private link_socket {
public:
  /// Binds and starts the thread. `events` must outlive the link. errc::transport_failed when it
  /// cannot listen, errc::bad_config when a key is no key.
  static expected<std::unique_ptr<node_link>> start(link_config config, link_keys keys,
                                                    link_events& events);
  /// Says goodbye, writes what is queued for up to a second, ends the thread.
  ~node_link() override;
  node_link(const node_link&) = delete;
  node_link& operator=(const node_link&) = delete;

  /// The bound address, with its port.
  const std::string& endpoint() const;
  /// Runs `task` on the link's thread soon; from any thread.
  void post(std::function<void(link_core&)> task);
  /// From any thread; a moment old.
  link_stats stats() const;
  std::vector<link_peer_stats> peers() const;

private:
  struct impl;
  explicit node_link(std::unique_ptr<impl> state);
  expected<void> connect(link_peer_id peer, const std::string& name,
                         const std::string& address) override;
  void disconnect(link_peer_id peer) override;
  bool send(link_peer_id peer, const frame_head& head, const frame_body& body) override;

  std::unique_ptr<impl> impl_;
};

} // namespace skep::net
