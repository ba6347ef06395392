#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/net/node_link.hpp"

#include <map>
#include <memory>
#include <string>

namespace skep::net {

/// Who may connect: the peer of libzmq's ZAP client (RFC 27/ZAP). Answers on a REP socket in the
/// link's own context, so that a CURVE handshake ends well only for keys of the list, and frames
/// carry the node's name as "User-Id". Link's thread only, once started.
class zap_authenticator {
public:
  /// Checks the keys; errc::bad_config names the one that is none.
  static expected<std::unique_ptr<zap_authenticator>> make(link_keys keys);
  ~zap_authenticator();

  /// Opens the REP socket in this libzmq context; before anything binds. False: it is taken.
  bool open(void* context);
  /// The REP socket, to be polled.
  void* socket() const {
    return socket_;
  }
  /// Answers what waits.
  void answer_all();

  /// Makes a ROUTER let in these keys only.
  bool guard(void* router) const;
  /// Makes a DEALER speak to this node and to nobody who merely sits at its address.
  expected<void> aim(void* dealer, const std::string& node) const;

private:
  explicit zap_authenticator(link_keys keys) : keys_(std::move(keys)) {}
  bool answer();

  link_keys keys_;
  /// Node names by their public key in binary.
  std::map<std::string, std::string> names_;
  void* socket_ = nullptr;
};

} // namespace skep::net
