#include "runtime/io/redis_types.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace skep::io {

namespace {

/// Redis has 16 databases unless it was configured otherwise; this only keeps nonsense out.
constexpr std::uint32_t db_max = 1'000'000;

tl::unexpected<failure> bad(std::string what) {
  return fail(errc::bad_config,
              std::move(what) + "; expected redis://[[user]:password@]host[:port][/db]");
}

template <class T>
std::optional<T> number(std::string_view text, T most) {
  T value{};
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || at != end || value > most)
    return std::nullopt;
  return value;
}

/// %41 is A; nothing when a percent sign is followed by something else.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    unsigned value = 0;
    const auto digits = text.substr(at + 1, 2);
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
    if (digits.size() != 2 || error != std::errc{} || stop != end)
      return std::nullopt;
    out += static_cast<char>(value);
    at += 2;
  }
  return out;
}

expected<void> read_credentials(std::string_view text, redis_endpoint& into) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos)
    return bad("before the @ of the Redis URL there is no colon, so it is unclear whether that is "
               "a user or a password");
  auto user = percent_decoded(text.substr(0, colon));
  auto password = percent_decoded(text.substr(colon + 1));
  if (!user || !password)
    return bad("user or password of the Redis URL have a % that is not followed by two hex digits");
  into.user = std::move(*user);
  into.password = std::move(*password);
  return {};
}

expected<void> read_address(std::string_view text, redis_endpoint& into) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos)
      return bad("the IPv6 address of the Redis URL has no closing bracket");
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (host.empty())
    return bad("the Redis URL names no host");
  into.host = host;
  if (port.empty())
    return {};
  const auto given = number<std::uint16_t>(port.substr(1), 65'535);
  if (port.front() != ':' || !given || *given == 0)
    return bad("the port of the Redis URL is not a number from 1 to 65535");
  into.port = *given;
  return {};
}

expected<void> read_db(std::string_view text, redis_endpoint& into) {
  if (text.empty())
    return {};
  const auto given = number<std::uint32_t>(text, db_max);
  if (!given)
    return bad("the database of the Redis URL is not a number");
  into.db = *given;
  return {};
}

expected<redis_endpoint> parse_socket(std::string_view rest) {
  redis_endpoint made;
  const auto question = rest.find('?');
  made.socket = rest.substr(0, question);
  if (!made.socket.starts_with('/'))
    return fail(errc::bad_config, "unix:// needs the absolute path of a socket: unix:///run/redis");
  if (question == std::string_view::npos)
    return made;
  auto query = rest.substr(question + 1);
  if (!query.starts_with("db="))
    return fail(errc::bad_config, "all that may follow the socket's path is ?db=NUMBER");
  if (auto read = read_db(query.substr(3), made); !read)
    return fail(std::move(read.error()));
  return made;
}

} // namespace

std::string redis_endpoint::name() const {
  if (!socket.empty())
    return fmt::format("unix://{}?db={}", socket, db);
  return host.find(':') == std::string::npos ? fmt::format("{}:{}/{}", host, port, db)
                                             : fmt::format("[{}]:{}/{}", host, port, db);
}

expected<redis_endpoint> parse_redis_url(std::string_view url) {
  if (url.starts_with("unix://"))
    return parse_socket(url.substr(7));
  if (url.starts_with("rediss://"))
    return fail(errc::bad_config,
                "rediss:// is Redis over TLS, which this client does not speak: put a TLS tunnel "
                "(stunnel, a sidecar proxy) on this machine and name its address with redis://");
  if (!url.starts_with("redis://"))
    return bad("the Redis URL begins with something else than redis://");
  url.remove_prefix(8);
  redis_endpoint made;
  const auto slash = url.find('/', url.rfind('@') == std::string_view::npos ? 0 : url.rfind('@'));
  auto authority = url.substr(0, slash);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (auto read = read_credentials(authority.substr(0, at), made); !read)
      return fail(std::move(read.error()));
    authority.remove_prefix(at + 1);
  }
  if (auto read = read_address(authority, made); !read)
    return fail(std::move(read.error()));
  if (slash != std::string_view::npos)
    if (auto read = read_db(url.substr(slash + 1), made); !read)
      return fail(std::move(read.error()));
  return made;
}

expected<void> redis_commands::submit(redis_args command, duration timeout,
                                      redis_single_callback done) {
  std::vector<redis_args> batch;
  batch.push_back(std::move(command));
  return submit_all(std::move(batch), timeout,
                    [done = std::move(done)](expected<std::vector<redis_reply>> got) {
                      if (got)
                        done(std::move(got->front()));
                      else
                        done(fail(std::move(got.error())));
                    });
}

failure failure_of(const redis_reply& error, const std::string& server) {
  struct meaning {
    std::string_view word;
    errc code;
    std::string_view advice;
  };
  // The first word of an error reply is its code.
  static constexpr meaning known[]{
    {"NOAUTH", errc::provider_auth_failed, "set redis.password or a password in the Redis URL"},
    {"WRONGPASS", errc::provider_auth_failed, "user and password do not fit"},
    {"NOPERM", errc::provider_auth_failed,
     "the user needs GET, PTTL, SET, SCAN, UNLINK, PING and SELECT"},
    {"LOADING", errc::provider_failed, "it is reading its data from disk; wait"},
    {"MASTERDOWN", errc::provider_failed, "it is a replica that lost its primary"},
    {"READONLY", errc::provider_failed, "it is a replica; name the primary"},
    {"OOM", errc::provider_failed, "its memory is full; raise maxmemory or set a maxmemory-policy"},
    {"MISCONF", errc::provider_failed, "it cannot write to its disk; see its log"},
    {"BUSY", errc::provider_failed, "a script keeps it busy"},
    {"MOVED", errc::provider_failed,
     "it is a node of a Redis Cluster; name a single Redis or a proxy in front of the cluster"},
    {"ASK", errc::provider_failed,
     "it is a node of a Redis Cluster; name a single Redis or a proxy in front of the cluster"},
    {"CLUSTERDOWN", errc::provider_failed, "the Redis Cluster it belongs to is down"},
  };
  constexpr std::size_t shown_max = 200; // Enough to know it by; the rest may be anything.
  const auto text = std::string_view{error.text}.substr(0, shown_max);
  const auto word = text.substr(0, text.find(' '));
  const auto* found = std::find_if(std::begin(known), std::end(known),
                                   [word](const meaning& each) { return each.word == word; });
  if (found == std::end(known))
    return failure{errc::provider_failed, fmt::format("Redis at {} says: {}", server, text)};
  return failure{found->code,
                 fmt::format("Redis at {} says: {} ({})", server, text, found->advice)};
}

} // namespace skep::io
