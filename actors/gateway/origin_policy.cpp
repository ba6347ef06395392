#include "actors/gateway/origin_policy.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

using net::equal_ignoring_case;

// Browsers remember a preflight's answer for two hours at most.
constexpr std::string_view preflight_age_s = "7200";
// What official clients and people read of an answer besides its body.
constexpr std::string_view exposed
  = "x-request-id, request-id, x-skep-cache, x-skep-cache-key, x-skep-cache-similarity, "
    "x-skep-provider, x-skep-attempts, cache-status, openai-processing-ms, openai-version, "
    "retry-after, retry-after-ms, x-should-retry, etag";

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& each) {
    return each == "*" || equal_ignoring_case(each, wanted);
  });
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1
         || ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool is_localhost(std::string_view host) {
  constexpr std::string_view name = "localhost";
  if (host.size() < name.size()
      || !equal_ignoring_case(host.substr(host.size() - name.size()), name))
    return false;
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

/// "[::1]:8080" and "::1" as "::1", "node.example.:8080" as "node.example".
std::string_view host_without_port(std::string_view host) {
  if (host.starts_with('['))
    return host.substr(1, std::min(host.find(']'), host.size()) - 1);
  if (const auto colon = host.rfind(':'); colon == host.find(':'))
    host = host.substr(0, colon);
  if (host.ends_with('.'))
    host.remove_suffix(1);
  return host;
}

/// "app.example:8080" of "https://app.example:8080".
std::string_view authority_of(std::string_view origin) {
  const auto scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view{} : origin.substr(scheme + 3);
}

} // namespace

origin_policy::origin_policy(rules with) : rules_(std::move(with)) {}

bool origin_policy::knows_host(std::string_view host) const {
  const auto name = host_without_port(host);
  return name.empty() || is_localhost(name) || equal_ignoring_case(name, rules_.listen_host)
         || contains(rules_.hosts, name) || is_address(std::string{name});
}

bool origin_policy::names(std::string_view origin) const {
  return !origin.empty() && contains(rules_.origins, origin);
}

bool origin_policy::is_foreign(const net::http_request& head) const {
  return is_cross_origin(head) && !names(head.header("origin"));
}

bool origin_policy::is_cross_origin(const net::http_request& head) {
  // Browsers that tell how the page relates to us know it better than Host, which a proxy in
  // between may have replaced.
  if (const auto site = head.header("sec-fetch-site"); !site.empty())
    return site != "same-origin" && site != "none";
  const auto origin = head.header("origin");
  return !origin.empty() && !equal_ignoring_case(authority_of(origin), head.header("host"));
}

void origin_policy::allow_reading(std::string_view origin, net::http_headers& answer) const {
  if (rules_.origins.empty())
    return;
  // Also where no origin asked: a cache must not give that answer to a page.
  answer.add("vary", "origin");
  if (!names(origin))
    return;
  answer.add("access-control-allow-origin", origin);
  answer.add("access-control-expose-headers", exposed);
}

bool origin_policy::is_preflight(const net::http_request& head) {
  return head.method == "OPTIONS" && head.headers.contains("origin")
         && head.headers.contains("access-control-request-method");
}

net::http_response origin_policy::preflight(const net::http_request& head,
                                            std::string_view methods) {
  net::http_response response;
  response.status = 204;
  response.headers.add("access-control-allow-methods", methods);
  // A page that may ask may ask with any field: the clients send some thirty (x-stainless-*,
  // anthropic-*), and no wildcard covers authorization.
  if (const auto fields = head.header("access-control-request-headers"); !fields.empty())
    response.headers.add("access-control-allow-headers", fields);
  response.headers.add("access-control-max-age", preflight_age_s);
  response.headers.add("vary", "access-control-request-headers");
  return response;
}

bool is_loopback(const std::string& host) {
  in_addr four{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1)
    return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six{};
  if (::inet_pton(AF_INET6, host.c_str(), &six) == 1)
    return IN6_IS_ADDR_LOOPBACK(&six);
  return is_localhost(host);
}

bool is_origin(std::string_view text) {
  if (text == "*")
    return true;
  const auto authority = authority_of(text);
  return !authority.empty() && authority.find_first_of("/?#@*, ") == std::string_view::npos
         && text.find("://") > 0;
}

} // namespace skep::actors
