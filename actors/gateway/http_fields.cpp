#include "actors/gateway/http_fields.hpp"

#include "runtime/net/http_message.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace skep::actors {

namespace {

constexpr std::string_view models_prefix = "/v1/models/";
constexpr std::string_view responses_prefix = "/v1/responses/";

enum class access : std::uint8_t {
  /// For anybody: the probes of an orchestrator.
  open,
  /// With a key, when there are any.
  keyed,
};

struct endpoint_row {
  endpoint what;
  /// As metrics show it; what stands in braces matches anything.
  std::string_view path;
  std::string_view methods;
  access who;
};

constexpr std::string_view reads = "GET, HEAD";

// The one list of what the door serves, in the order of the enum.
constexpr std::array<endpoint_row, endpoint_count> endpoints{{
  {endpoint::root, "/", reads, access::open},
  {endpoint::chat, "/v1/chat/completions", "POST", access::keyed},
  {endpoint::completions, "/v1/completions", "POST", access::keyed},
  {endpoint::responses, "/v1/responses", "POST", access::keyed},
  {endpoint::response, "/v1/responses/{id}", "GET, HEAD, DELETE", access::keyed},
  {endpoint::messages, "/v1/messages", "POST", access::keyed},
  {endpoint::embeddings, "/v1/embeddings", "POST", access::keyed},
  {endpoint::models, "/v1/models", reads, access::keyed},
  {endpoint::model, "/v1/models/{id}", reads, access::keyed},
  {endpoint::health, "/health", reads, access::open},
  {endpoint::ready, "/ready", reads, access::open},
  {endpoint::metrics, "/metrics", reads, access::keyed},
  {endpoint::cluster, "/cluster", reads, access::keyed},
  {endpoint::cluster_drain, "/cluster/drain", "POST", access::keyed},
  {endpoint::cache_stats, "/api/v1/cache/stats", reads, access::keyed},
  {endpoint::cache_clear, "/api/v1/performance/cache/clear", "POST", access::keyed},
  {endpoint::performance_metrics, "/api/v1/performance/metrics", reads, access::keyed},
  {endpoint::agent_pool, "/api/v1/performance/agent-pool", reads, access::keyed},
  {endpoint::health_detailed, "/api/v1/performance/health-detailed", reads, access::keyed},
  {endpoint::agent_prompt, "/api/v1/agent/prompt", "POST", access::keyed},
  {endpoint::debug_kill, "/debug/kill", "POST", access::keyed},
  {endpoint::unknown, "other", reads, access::open},
}};

constexpr const endpoint_row& row_of(endpoint what) {
  return endpoints[static_cast<std::size_t>(what)];
}

constexpr bool in_order() {
  for (std::size_t n = 0; n < endpoints.size(); ++n)
    if (static_cast<std::size_t>(endpoints[n].what) != n)
      return false;
  return true;
}
static_assert(in_order());

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Takes the next piece off the front of a list.
std::string_view next_of(std::string_view& list, char separator) {
  const auto piece = list.substr(0, list.find(separator));
  list.remove_prefix(std::min(list.size(), piece.size() + 1));
  return piece;
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  const auto lower = static_cast<char>(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// A number of seconds; what is too large for us is as good as the largest.
std::uint32_t seconds_of(std::string_view number) {
  std::uint32_t value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  return read.ec == std::errc::result_out_of_range ? ~std::uint32_t{0} : value;
}

} // namespace

// -- paths ----------------------------------------------------------------------------------------

endpoint endpoint_of(std::string_view path) {
  if (path.size() > models_prefix.size() && path.starts_with(models_prefix))
    return endpoint::model;
  if (path.size() > responses_prefix.size() && path.starts_with(responses_prefix))
    return endpoint::response;
  const auto row = std::find_if(endpoints.begin(), endpoints.end(),
                                [&](const endpoint_row& each) { return each.path == path; });
  return row != endpoints.end() ? row->what : endpoint::unknown;
}

std::string_view label_of(endpoint what) {
  return row_of(what).path;
}

std::string_view methods_of(endpoint what) {
  return row_of(what).methods;
}

bool allows(endpoint what, std::string_view method) {
  auto allowed = methods_of(what);
  while (!allowed.empty())
    if (trimmed(next_of(allowed, ',')) == method)
      return true;
  return false;
}

bool needs_key(endpoint what) {
  return row_of(what).who == access::keyed;
}

bool is_operational(endpoint what) {
  return what == endpoint::health || what == endpoint::ready || what == endpoint::metrics
         || what == endpoint::cluster || what == endpoint::cluster_drain
         || what == endpoint::cache_stats || what == endpoint::cache_clear
         || what == endpoint::performance_metrics || what == endpoint::agent_pool
         || what == endpoint::health_detailed;
}

std::string model_id_of(std::string_view path) {
  return percent_decoded(path.substr(std::min(path.size(), models_prefix.size())));
}

// -- queries --------------------------------------------------------------------------------------

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool room = text[at] == '%' && at + 2 < text.size();
    const int high = room ? hex_value(text[at + 1]) : -1;
    const int low = room ? hex_value(text[at + 2]) : -1;
    if (high < 0 || low < 0) {
      decoded += text[at];
      continue;
    }
    decoded += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return decoded;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = next_of(query, '&');
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=')
      continue;
    std::string value{pair.substr(name.size() + 1)};
    std::replace(value.begin(), value.end(), '+', ' ');
    return percent_decoded(value);
  }
  return {};
}

// -- header fields --------------------------------------------------------------------------------

cache_wish read_cache_control(std::string_view header) {
  constexpr std::string_view age = "max-age=";
  cache_wish wish;
  while (!header.empty()) {
    const auto directive = trimmed(next_of(header, ','));
    const bool limits_age = directive.size() > age.size()
                            && net::equal_ignoring_case(directive.substr(0, age.size()), age);
    if (limits_age)
      wish.age_max_s = seconds_of(directive.substr(age.size()));
    if (net::equal_ignoring_case(directive, "no-store"))
      wish.mode = msg::cache_mode::off;
    // Nothing cached is younger than no age at all.
    const bool fresh
      = net::equal_ignoring_case(directive, "no-cache") || (limits_age && wish.age_max_s == 0);
    if (fresh && wish.mode == msg::cache_mode::use)
      wish.mode = msg::cache_mode::refresh;
  }
  return wish;
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  if (authorization.size() <= scheme.size()
      || !net::equal_ignoring_case(authorization.substr(0, scheme.size()), scheme))
    return {};
  return trimmed(authorization.substr(scheme.size()));
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace skep::actors
