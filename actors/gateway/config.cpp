#include "actors/gateway/config.hpp"

#include "messages/context.hpp"

#include <charconv>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

const config::table<gateway_key>& key_table() {
  static const config::table<gateway_key> rows
    = config::table<gateway_key>{
        option{"key", &gateway_key::key, "env.NAME of the variable that holds the key."}.required(),
        option{"tenant", &gateway_key::tenant,
               "Whose requests these are; tenants share no cached answer."},
      }
        .check([](const gateway_key& k) -> std::optional<config::violation> {
          if (!k.tenant.empty() && k.tenant.size() <= tenant_bytes_max)
            return std::nullopt;
          return config::violation{"tenant", "must have 1 to 64 bytes"};
        });
  return rows;
}

/// Who answers, and by what name metrics know it.
config::table<gateway_config> model_options() {
  return {
    option{"default_provider", &gateway_config::default_provider,
           "Model names nobody else has go to this provider as they are."},
    option{"model_labels_max", &gateway_config::model_labels_max, std::uint64_t{1},
           std::uint64_t{10'000},
           "Models of providers that metrics tell apart; further ones are \"other\"."},
    option{"default_agent", &gateway_config::default_agent,
           "The agent that answers POST /api/v1/agent/prompt when it names none; needed only "
           "with several agents."},
  };
}

} // namespace

std::optional<std::pair<std::string, std::uint16_t>> split_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return std::nullopt;
  auto address = listen.substr(0, colon);
  if (address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  else if (address.find_first_of(":[]") != std::string::npos)
    return std::nullopt;
  std::uint16_t port = 0;
  const auto* end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (read.ec != std::errc{} || read.ptr != end || address.empty())
    return std::nullopt;
  return std::pair{address, port};
}

const config::table<gateway_config>& gateway_table() {
  constexpr milliseconds day{86'400'000};
  constexpr milliseconds one{1};
  static const config::table<gateway_config> rows
    = config::table<gateway_config>{
        option{"listen", &gateway_config::listen, "ADDRESS:PORT; port 0 lets the system choose."},
        option{"threads", &gateway_config::threads, 1u, 64u, "Threads for client connections."},
        option{"connections_max", &gateway_config::connections_max, std::uint64_t{1},
               std::uint64_t{1'000'000}, "Open connections; one more gets 503."},
        option{"requests_max", &gateway_config::requests_max, std::uint64_t{1},
               std::uint64_t{1'000'000}, "Requests at work; one more gets 503 with a retry-after."},
        option{"body_bytes", &gateway_config::body_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The largest request body (413)."},
        option{"header_bytes", &gateway_config::header_max, std::uint64_t{1024},
               std::uint64_t{1} << 20, "The largest request head (431)."},
        option{"bodies_bytes", &gateway_config::bodies_max, std::uint64_t{1} << 20,
               std::uint64_t{1} << 40, "All request bodies being received, and all waiting (503)."},
        option{"header_timeout_ms", &gateway_config::header_timeout, one, day,
               "From a request's first byte to the end of its head (408)."},
        option{"body_timeout_ms", &gateway_config::body_timeout, one, day,
               "From the end of the head to the end of the body (408)."},
        option{"keepalive_timeout_ms", &gateway_config::keepalive_timeout, one, day,
               "How long a connection may wait for its next request."},
        option{"write_timeout_ms", &gateway_config::write_timeout, one, day,
               "For a client that takes nothing of what waits for it."},
        option{"request_timeout_ms", &gateway_config::request_timeout, one, day,
               "From a request's arrival until its answer is there, or begins to stream (504); "
               "x-request-timeout-ms and the official clients' own time-out may ask for less."},
        option{"stream_idle_timeout_ms", &gateway_config::stream_idle_timeout, one, day,
               "The longest a stream that has begun may stand still."},
        option{"stream_window_bytes", &gateway_config::stream_window, std::uint64_t{1024},
               std::uint64_t{64} << 20,
               "What a stream may have on the way to a client before its producer pauses."},
        option{"compression", &gateway_config::compression,
               "Compress whole answers for clients that accept gzip or zstd; streams never are."}
          .alias_env("ENABLE_RESPONSE_COMPRESSION"),
        option{"compression_min_bytes", &gateway_config::compression_min, std::uint64_t{0},
               std::uint64_t{1} << 30, "Answers up to this size are sent as they are."},
        option{"compression_max_bytes", &gateway_config::compression_max, std::uint64_t{1024},
               std::uint64_t{1} << 30,
               "Larger answers are sent as they are: gzip takes 11 ms of a core per MiB."},
        option{"compression_level", &gateway_config::compression_level, 1u, 9u,
               "1 is fast, 9 is small."},
        option{"slo", &gateway_config::slo, slo_table(),
               "What health-detailed grades the node's performance against."},
        option{"responses_ttl_ms", &gateway_config::responses_ttl, milliseconds{1'000}, 366 * day,
               "How long a response of /v1/responses is kept; the default is 30 days."},
        option{"responses_value_bytes", &gateway_config::responses_value_max, std::uint64_t{1024},
               std::uint64_t{64} << 20,
               "A response with its whole conversation; a larger one is answered, but not kept."},
        option{"responses_timeout_ms", &gateway_config::responses_timeout, one,
               milliseconds{60'000},
               "The longest the end of a response waits to be kept, and a lookup for its answer."},
        option{"key", &gateway_config::keys, key_table(),
               "Keys clients must come with (Authorization: Bearer); none: no key is asked for."},
      }
        .with(model_options())
        .check([](const gateway_config& c) -> std::optional<config::violation> {
          if (split_listen(c.listen))
            return std::nullopt;
          return config::violation{
            "listen", "listen must read ADDRESS:PORT, for example 127.0.0.1:8080"};
        });
  return rows;
}

} // namespace skep::actors
