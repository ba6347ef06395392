#pragma once

#include "runtime/io/redis_types.hpp"

#include <memory>

namespace skep::telemetry {
class registry;
} // namespace skep::telemetry

namespace skep::io {

/// Speaks to one Redis server (6 or newer; RESP2, no TLS): one thread ("redis") owns a few
/// connections, each of which pipelines the commands it gets, so that nobody waits for the answer
/// to another's command. Nothing in it blocks on the network. A command waits for an answer until
/// its deadline; a connection that stalls or breaks is opened again with back-off, and while none
/// is up or opening, commands fail at once. No command is sent twice. All members may be called
/// from any thread.
class redis_client final : public redis_commands {
public:
  /// Connects in the background. `metrics` must outlive the client.
  redis_client(redis_client_config config, telemetry::registry& metrics);
  redis_client(const redis_client&) = delete;
  redis_client& operator=(const redis_client&) = delete;
  /// As close().
  ~redis_client() override;

  expected<void> submit_all(std::vector<redis_args> batch, duration timeout,
                            redis_callback done) override;

  /// Ends every batch with errc::shutting_down and the thread with it. Idempotent; not in a
  /// callback.
  void close();

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::io
