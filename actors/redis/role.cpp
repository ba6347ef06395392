#include "actors/redis/role.hpp"

#include "actors/redis/redis_level.hpp"
#include "runtime/base/log.hpp"
#include "runtime/config/option.hpp"
#include "runtime/config/secret.hpp"
#include "runtime/io/redis_client.hpp"
#include "runtime/node/breaker_options.hpp"
#include "runtime/node/identity_options.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// `[redis]`.
struct redis_config {
  std::string url;
  std::string host;
  std::uint32_t port = 6379;
  std::uint32_t db = 0;
  std::string user;
  config::secret password;
  std::uint32_t connections = 0;
  std::uint32_t pool_size = 4;
  std::uint32_t pool_overflow = 6;
  std::uint32_t pipeline_depth = 64;
  milliseconds idle_ttl{300'000};
  milliseconds ping_interval{30'000};
  milliseconds silence{10'000};
  milliseconds timeout{50};
  milliseconds connect_timeout{1'000};
  milliseconds stall{1'000};
  milliseconds clear_timeout{30'000};
  std::uint64_t commands_max = 10'000;
  std::uint64_t in_flight_bytes = std::uint64_t{64} << 20;
  std::uint64_t value_max = std::uint64_t{1} << 20;
  milliseconds ttl{3'600'000};
  std::string prefix = "skep";
  breaker_options breaker = eager_breaker();
};

/// Letters that mean themselves in a pattern of SCAN, so that a clear hits our keys only.
bool plain(const std::string& prefix) {
  return !prefix.empty() && prefix.size() <= 64
         && std::all_of(prefix.begin(), prefix.end(), [](unsigned char letter) {
              return std::isalnum(letter) != 0 || letter == '.' || letter == '_' || letter == '-';
            });
}

std::optional<config::violation> check_redis(const redis_config& c) {
  if (!c.url.empty() && !c.host.empty())
    return config::violation{"host", "is given by the url already; leave one of them out"};
  if (!c.url.empty())
    if (const auto read = io::parse_redis_url(c.url); !read)
      return config::violation{"url", read.error().detail};
  if (!plain(c.prefix))
    return config::violation{"prefix", "must be 1 to 64 letters, digits, '.', '_' or '-'"};
  return std::nullopt;
}

/// A password in the URL is printed with it, unless the whole URL comes from a variable.
std::vector<config::violation> check_secret(const config::document& doc) {
  const auto& url = doc.get<redis_config>("redis").url;
  if (url.empty() || !doc.reference_of("redis.url").empty())
    return {};
  const auto read = io::parse_redis_url(url);
  if (!read || read->password.empty())
    return {};
  return {{"redis.url", "url must not hold a password: it is printed; say url = \"env.NAME\", or "
                        "password = \"env.NAME\""}};
}

const config::table<redis_config>& redis_table() {
  using c = redis_config;
  constexpr milliseconds one{1};
  constexpr milliseconds minute{60'000};
  constexpr milliseconds month{2'592'000'000};
  static const config::table<c> rows
    = config::table<c>{
        option{"url", &c::url,
               "redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n]; with a password "
               "in it, write env.NAME. Without url and host there is no second level."}
          .alias_env("REDIS_URL"),
        option{"host", &c::host, "Instead of the url."},
        option{"port", &c::port, 1u, 65'535u, "With host."},
        option{"db", &c::db, 0u, 1'000'000u, "The database, with host."},
        option{"user", &c::user, "The ACL user; empty: the server's default user."},
        option{"password", &c::password,
               "env.NAME of the variable that holds it; wins over the url's."},
        option{"pool_size", &c::pool_size, 1u, 64u,
               "Connections that are kept; the commands are spread over them, each is pipelined."}
          .alias_env("DB_POOL_SIZE"),
        option{"pool_overflow", &c::pool_overflow, 0u, 64u,
               "Further connections under load: opened when the moving average of utilisation is "
               "above 0.8, closed when they are idle."}
          .alias_env("DB_MAX_OVERFLOW"),
        option{"connections", &c::connections, 0u, 64u,
               "The older name of pool_size, which it overrides; 0: not given."},
        option{"pipeline_depth", &c::pipeline_depth, 1u, 100'000u,
               "A connection with so many commands in flight counts as fully used."},
        option{"idle_ttl_ms", &c::idle_ttl, milliseconds{100}, milliseconds{86'400'000},
               "After this long without need a part of the overflow is closed."},
        option{"ping_interval_ms", &c::ping_interval, milliseconds{10}, milliseconds{3'600'000},
               "A connection that heard nothing for so long is asked PING, and replaced when it "
               "does not answer within stall_ms."},
        option{"silence_ms", &c::silence, milliseconds{10}, milliseconds{3'600'000},
               "A connection that heard nothing for so long is asked PING before it gets a "
               "command."},
        option{"timeout_ms", &c::timeout, one, minute,
               "The longest a lookup or a write waits for Redis."},
        option{"connect_timeout_ms", &c::connect_timeout, one, minute,
               "Name lookup, connect, AUTH, SELECT and the first PONG."},
        option{"stall_ms", &c::stall, one, minute,
               "A connection with a command that long over its deadline is reset."},
        option{"clear_timeout_ms", &c::clear_timeout, one, milliseconds{3'600'000},
               "The longest a clear walks over the server's keys."},
        option{"commands_max", &c::commands_max, std::uint64_t{1}, std::uint64_t{1'000'000},
               "Lookups and writes in flight; further ones are refused and go on as misses."},
        option{"in_flight_bytes", &c::in_flight_bytes, std::uint64_t{4096}, std::uint64_t{1} << 36,
               "Bytes of the writes in flight."},
        option{"value_bytes", &c::value_max, std::uint64_t{1}, std::uint64_t{1} << 28,
               "Larger answers are not stored in Redis."},
        option{"ttl_ms", &c::ttl, one, month, "How long an answer that names no time stays fresh."},
        option{"prefix", &c::prefix,
               "What all keys begin with: who shares a prefix shares the answers."},
        option{"breaker", &c::breaker, breaker_table(),
               "The circuit breaker: while it is open, Redis is not asked."},
      }
        .check(check_redis);
  return rows;
}

io::redis_endpoint endpoint_of(const redis_config& from) {
  io::redis_endpoint made;
  if (!from.url.empty()) {
    made = *io::parse_redis_url(from.url); // As check_redis() found it.
  } else {
    made.host = from.host;
    made.port = static_cast<std::uint16_t>(from.port);
    made.db = from.db;
  }
  if (!from.user.empty())
    made.user = from.user;
  if (!from.password.empty())
    made.password = from.password.reveal();
  return made;
}

io::redis_client_config client_of(const redis_config& from) {
  io::redis_client_config made;
  made.endpoint = endpoint_of(from);
  made.connections = from.connections != 0 ? from.connections : from.pool_size;
  made.overflow = from.pool_overflow;
  made.pipeline_depth = from.pipeline_depth;
  made.idle_ttl = from.idle_ttl;
  made.ping_interval = from.ping_interval;
  made.silence_max = from.silence;
  made.commands_max = from.commands_max;
  made.bytes_max = from.in_flight_bytes;
  // A value with its record, or a page of a clear's keys.
  made.reply_bytes_max = std::max<std::size_t>(from.value_max + 4096, std::size_t{4} << 20);
  made.connect_timeout = from.connect_timeout;
  made.stall_max = from.stall;
  return made;
}

expected<void> build(rt::role_context& node) {
  const auto& from = node.config().get<redis_config>("redis");
  if (from.url.empty() && from.host.empty())
    return {};
  if (const auto source = rt::identity_source_of(node.config());
      source == rt::identity_source::kept || source == rt::identity_source::process)
    log::warn("redis: {}", rt::describe(source));
  auto client = client_of(from);
  redis_level_config rules;
  rules.server = client.endpoint.name();
  rules.prefix = from.prefix;
  rules.timeout = from.timeout;
  rules.clear_timeout = from.clear_timeout;
  rules.ttl = from.ttl;
  rules.value_max = from.value_max;
  rt::mailbox_bounds bounds;
  bounds.messages_max = static_cast<std::uint32_t>(from.commands_max);
  bounds.bytes_max = from.in_flight_bytes;
  const auto& kind = node.kind("redis", bounds);
  auto& env = node.env();
  const auto redis = std::make_shared<io::redis_client>(std::move(client), env.metrics());
  node.on_stop([redis] { redis->close(); });
  rt::child_spec spec;
  spec.name = "cache/redis";
  spec.guard = guard_of(from.breaker);
  spec.start = [&env, &kind, rules, redis] { return env.spawn<redis_level>(kind, rules, redis); };
  node.supervise(std::move(spec));
  return {};
}

} // namespace

rt::role redis_role() {
  rt::role made;
  made.name = "redis";
  made.publishes = {{"cache/redis"}};
  made.declare = [](config::schema& accepted) {
    accepted.section("redis", config::cardinality::one, redis_table(),
                     "The second level of the response cache, in a Redis server.");
    accepted.rule(check_secret);
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
