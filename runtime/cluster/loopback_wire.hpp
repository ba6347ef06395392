#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/base/expected.hpp"

#include <memory>

namespace skep::rt {

class wire_types;

/// `node.force_wire`: a node with one peer, itself. Every handle it wraps sends requests, streams,
/// cancels and credit as msgpack envelopes over a ZeroMQ ROUTER/DEALER pair on loopback, and the
/// answers take the same way back, so that tests prove the wire equal to native sends.
class loopback_wire : public wire {
public:
  /// Opens the sockets. With virtual time what arrives waits for settle(), so that one thread runs
  /// everything; with real time the link's thread hands it on at once.
  enum class delivery { at_once, by_settle };
  static expected<std::shared_ptr<loopback_wire>> start(environment& env,
                                                        delivery how = delivery::by_settle);
  ~loopback_wire() override;

  caf::actor wrap(const caf::actor& target) override;

  /// Message types beyond skep's own; before the first send.
  wire_types& types();

  /// Waits until all that was sent has come back through the socket (at most 5 s), hands it on, and
  /// says whether there was anything. For virtual time; on the test's thread.
  bool settle();

  struct impl;

private:
  explicit loopback_wire(std::shared_ptr<impl> state);

  std::shared_ptr<impl> impl_;
};

} // namespace skep::rt
