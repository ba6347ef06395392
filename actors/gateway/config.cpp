#include "actors/gateway/config.hpp"

#include "actors/gateway/origin_policy.hpp"
#include "messages/context.hpp"

#include <algorithm>
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
        option{"role",
               &gateway_key::role,
               {{"client", key_role::client}, {"admin", key_role::admin}},
               "client: may ask models and agents; admin: may operate the node as well (drain, "
               "clear the cache, read /metrics)."},
        option{"models", &gateway_key::models,
               "Which models and agents it may use: names as clients write them, with * for any "
               "text (\"agent/support\", \"gpt-*\", \"openai/*\"); none: all."},
      }
        .check([](const gateway_key& k) -> std::optional<config::violation> {
          if (!k.tenant.empty() && k.tenant.size() <= tenant_bytes_max)
            return std::nullopt;
          return config::violation{"tenant", "must have 1 to 64 bytes"};
        });
  return rows;
}

/// Who may ask.
const config::table<gateway_config>& access_rows() {
  static const config::table<gateway_config> rows{
    option{"hosts", &gateway_config::hosts,
           "Names of this node besides localhost and its addresses. Without keys requests "
           "under other names are refused, because a web page can take any name (DNS "
           "rebinding); \"*\": any name."},
    option{"cors_origins", &gateway_config::cors_origins,
           "Web pages that may ask from a browser, as \"https://app.example\"; \"*\": all, "
           "only with keys. Requests of other pages are refused."},
    option{"key", &gateway_config::keys, key_table(),
           "Keys clients must come with (Authorization: Bearer); none: no key is asked for."},
  };
  return rows;
}

/// What clients may have of the server together, and how slow one may be.
const config::table<gateway_config>& fairness_rows() {
  static const config::table<gateway_config> rows{
    option{"connections_per_address_max", &gateway_config::connections_per_address_max,
           std::uint64_t{0}, std::uint64_t{1'000'000},
           "Open connections of one client address (IPv6: one /64 network); 0: half of "
           "connections_max. Behind a proxy all clients have one address: give it all."},
    option{"answers_bytes", &gateway_config::answers_max, std::uint64_t{1} << 20,
           std::uint64_t{1} << 40,
           "All answers and stream frames that wait for clients to read them; an answer above "
           "16 KiB that has no room gets 503, a stream is cut."},
    option{"body_rate_min_bytes", &gateway_config::body_rate_min, std::uint64_t{0},
           std::uint64_t{1} << 30, "The slowest a body may come, per second."},
    option{"write_rate_min_bytes", &gateway_config::write_rate_min, std::uint64_t{0},
           std::uint64_t{1} << 30, "The slowest a client may take what waits, per second."},
    option{"linger_timeout_ms", &gateway_config::linger_timeout, milliseconds{1},
           milliseconds{86'400'000},
           "How long the rest of a refused request is read away, for its client to see why."},
  };
  return rows;
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

namespace {

std::optional<config::violation> check_origins(const gateway_config& c) {
  for (const auto& each : c.cors_origins) {
    if (!is_origin(each))
      return config::violation{"cors_origins",
                               "\"" + each + "\" must read scheme://host or scheme://host:port"};
    if (each == "*" && c.keys.empty())
      return config::violation{"cors_origins",
                               "\"*\" needs keys: without [[gateway.key]] every web page could "
                               "use and operate this node"};
  }
  for (const auto& each : c.hosts)
    if (each.empty() || each.find_first_of("/:@ ") != std::string::npos)
      return config::violation{"hosts",
                               "\"" + each + "\" must be a host name, without scheme and port"};
  return std::nullopt;
}

std::optional<config::violation> check_gateway(const gateway_config& c) {
  if (!split_listen(c.listen))
    return config::violation{"listen", "must read ADDRESS:PORT, for example 127.0.0.1:8080"};
  return check_origins(c);
}

void check_keys(const gateway_config& c, std::vector<config::violation>& found) {
  for (std::size_t n = 0; n < c.keys.size(); ++n)
    for (std::size_t before = 0; before < n; ++before)
      if (c.keys[before].key.reveal() == c.keys[n].key.reveal())
        found.push_back({"gateway.key." + std::to_string(n) + ".key",
                         "[[gateway.key]]: " + c.keys[n].key.reference() + " and "
                           + c.keys[before].key.reference()
                           + " hold the same key: one key has one tenant"});
}

} // namespace

std::vector<config::violation> check_access(const gateway_config& clients,
                                            const admin_config& operations) {
  std::vector<config::violation> found;
  check_keys(clients, found);
  const auto where = split_listen(operations.listen);
  const auto operates = [](const gateway_key& each) { return each.role == key_role::admin; };
  if (where && !is_loopback(where->first)
      && std::none_of(clients.keys.begin(), clients.keys.end(), operates))
    found.push_back({"admin.listen", "[admin]: beyond this machine it needs a [[gateway.key]] with "
                                     "role = \"admin\""});
  return found;
}

const config::table<admin_config>& admin_table() {
  static const config::table<admin_config> rows
    = config::table<admin_config>{
        option{"listen", &admin_config::listen,
               "ADDRESS:PORT that serves what operates the node (/metrics, /cluster, cache and "
               "performance API), which the clients' address serves no more. On a loopback "
               "address it asks for no key."},
        option{"connections_max", &admin_config::connections_max, std::uint64_t{1},
               std::uint64_t{10'000}, "Open connections there; one more gets 503."},
      }
        .check([](const admin_config& c) -> std::optional<config::violation> {
          if (c.listen.empty() || split_listen(c.listen))
            return std::nullopt;
          return config::violation{"listen", "must read ADDRESS:PORT, for example 127.0.0.1:9090"};
        });
  return rows;
}

const config::table<gateway_config>& gateway_table() {
  constexpr milliseconds day{86'400'000};
  constexpr milliseconds one{1};
  static const config::table<gateway_config> rows
    = config::table<gateway_config>{
        option{"listen", &gateway_config::listen, "ADDRESS:PORT; port 0 lets the system choose."},
        option{"threads", &gateway_config::threads, 1u, 64u, "Threads for client connections."},
        option{"connections_max", &gateway_config::connections_max, std::uint64_t{1},
               std::uint64_t{1'000'000},
               "Open connections; one more takes the place of the longest idle one, or gets 503."},
        option{"requests_max", &gateway_config::requests_max, std::uint64_t{1},
               std::uint64_t{1'000'000}, "Requests at work; one more gets 503 with a retry-after."},
        option{"body_bytes", &gateway_config::body_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The largest request body (413); 64 KiB for what operates the node."},
        option{"header_bytes", &gateway_config::header_max, std::uint64_t{1024},
               std::uint64_t{1} << 20, "The largest request head (431)."},
        option{"bodies_bytes", &gateway_config::bodies_max, std::uint64_t{1} << 20,
               std::uint64_t{1} << 40, "All request bodies being received, and all waiting (503)."},
        option{"header_timeout_ms", &gateway_config::header_timeout, one, day,
               "From a request's first byte to the end of its head (408)."},
        option{"body_timeout_ms", &gateway_config::body_timeout, one, day,
               "In every such time a body must end or come by body_rate_min_bytes (408)."},
        option{"keepalive_timeout_ms", &gateway_config::keepalive_timeout, one, day,
               "How long a connection may wait for its next request."},
        option{"write_timeout_ms", &gateway_config::write_timeout, one, day,
               "In every such time a client must take all that waits for it or "
               "write_rate_min_bytes."},
        option{"request_timeout_ms", &gateway_config::request_timeout, one, day,
               "From a request's arrival until its answer is there, or begins to stream (504); "
               "x-request-timeout-ms and the official clients' own time-out may ask for less."},
        option{"stream_idle_timeout_ms", &gateway_config::stream_idle_timeout, one, day,
               "The longest a stream that has begun may stand still."},
        option{"stream_window_bytes", &gateway_config::stream_window, std::uint64_t{1024},
               std::uint64_t{64} << 20,
               "What a stream may have on the way to a client before its producer pauses."},
        option{"default_provider", &gateway_config::default_provider,
               "Model names nobody else has go to this provider as they are."},
        option{"default_agent", &gateway_config::default_agent,
               "The agent that answers POST /api/v1/agent/prompt when it names none; needed only "
               "with several agents."},
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
      }
        .with(fairness_rows())
        .with(access_rows())
        .check(check_gateway);
  return rows;
}

} // namespace skep::actors
