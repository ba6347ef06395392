#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/flow/backoff.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::io {

/// What a Redis server answered to one command (RESP2). An error reply is an answer, too: the
/// connection is fine and the server said no.
struct redis_reply {
  enum class kind : std::uint8_t { nil, status, integer, bulk, array, error };

  kind what = kind::nil;
  std::int64_t integer = 0;
  /// Of a status, a bulk string or an error.
  std::string text;
  /// Of an array; at most seven levels deep, and bounded in number (redis_client_config).
  std::vector<redis_reply> elements;

  bool is(kind k) const {
    return what == k;
  }
};

/// Where a server is, and as whom to speak to it.
struct redis_endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  /// The path of a Unix socket, instead of host and port.
  std::string socket;
  /// Empty: the server's default user.
  std::string user;
  /// Empty: no AUTH is sent.
  std::string password;
  std::uint32_t db = 0;

  /// For logs and errors: where, without credentials.
  std::string name() const;
};

/// Reads `redis://[[user]:password@]host[:port][/db]` or `unix:///path[?db=n]`. User and password
/// may be percent-encoded. errc::bad_config says what is wrong and never repeats the URL, which may
/// hold a password.
expected<redis_endpoint> parse_redis_url(std::string_view url);

/// The words of one command: {"GET", "key"}.
using redis_args = std::vector<std::string>;

/// Hears how a batch ended, exactly once, on the client's thread: must be short and not throw.
using redis_callback = std::function<void(expected<std::vector<redis_reply>>)>;
/// The same for a single command.
using redis_single_callback = std::function<void(expected<redis_reply>)>;

/// Whatever executes Redis commands: the client, or a test's own.
class redis_commands {
public:
  virtual ~redis_commands() = default;

  /// Sends the commands of one batch back to back over one connection; `done` gets one reply for
  /// each, or why there are none: errc::deadline_exceeded after `timeout` (the commands may have
  /// been executed all the same), transport_failed (not reachable, connection lost), shutting_down.
  /// Refused at once, without a call of `done`: overloaded (the client is full), bad_request
  /// (nothing to send, or a command that does not belong into a pipeline), shutting_down.
  virtual expected<void> submit_all(std::vector<redis_args> batch, duration timeout,
                                    redis_callback done)
    = 0;

  /// A batch of one.
  expected<void> submit(redis_args command, duration timeout, redis_single_callback done);
};

/// What an error reply means for the caller, with what to do about it.
failure failure_of(const redis_reply& error, const std::string& server);

/// Bounds and times of a client.
struct redis_client_config {
  redis_endpoint endpoint;
  /// Commands are spread over so many connections; each pipelines what it gets. These are kept.
  std::uint32_t connections = 4;
  /// Further ones, opened and closed as flow::pool_sizer decides.
  std::uint32_t overflow = 0;
  /// A connection with so many commands in flight counts as fully used.
  std::uint32_t pipeline_depth = 64;
  /// How the number of connections moves. Each step down closes some after this long without need.
  double growth_factor = 2.0;
  double grow_above = 0.8;
  double shrink_below = 0.3;
  duration utilisation_window = 100ms;
  duration idle_ttl = 300s;
  /// A connection that heard nothing for so long is asked PING, and closed when it does not answer
  /// within stall_max.
  duration ping_interval = 30s;
  /// One that heard nothing for so long is asked PING before it gets a command.
  duration silence_max = 10s;
  /// Batches accepted and not ended; further ones are refused.
  std::size_t commands_max = 10'000;
  /// Bytes of the words of these.
  std::size_t bytes_max = std::size_t{64} << 20;
  /// One reply, whatever it consists of; a longer one costs the connection.
  std::size_t reply_bytes_max = std::size_t{16} << 20;
  /// The elements of one reply, at all levels.
  std::size_t reply_elements_max = 65'536;
  /// Name lookup, connect, AUTH, SELECT and the first PONG.
  duration connect_timeout = 1s;
  /// A connection whose oldest command is that long over its deadline is reset.
  duration stall_max = 1s;
  /// Between attempts to connect.
  flow::backoff_config backoff{50ms, 1s, 2.0, flow::backoff_jitter::decorrelated};
};

} // namespace skep::io
