#pragma once

#include "runtime/net/http_message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// Which web pages may reach the node through their visitor's browser. A page's requests tell where
/// it comes from (Origin, Sec-Fetch-Site) but for one trick, DNS rebinding: its own host name that
/// resolves to this node, which Host gives away. What is no browser says neither. Immutable.
class origin_policy {
public:
  struct rules {
    /// The host of the listening address.
    std::string listen_host;
    /// More names of this node; "*": any.
    std::vector<std::string> hosts;
    /// Origins whose pages may ask, "https://app.example"; "*": any.
    std::vector<std::string> origins;
  };

  explicit origin_policy(rules with);

  /// Host is a name that no foreign page can have: an IP address, localhost, the listening host or
  /// one of the configuration. HTTP/1.0 clients without a Host are no browsers.
  bool knows_host(std::string_view host) const;
  /// A browser sends this for a page of another origin.
  static bool is_cross_origin(const net::http_request& head);
  /// The same, and the configuration does not name that origin.
  bool is_foreign(const net::http_request& head) const;
  /// Adds what lets the page of a named origin read the answer (CORS); `origin` is the request's.
  void allow_reading(std::string_view origin, net::http_headers& answer) const;
  /// A browser's question whether its page may ask (CORS preflight).
  static bool is_preflight(const net::http_request& head);
  /// The answer to that for a named origin; `methods` are the endpoint's.
  static net::http_response preflight(const net::http_request& head, std::string_view methods);

private:
  bool names(std::string_view origin) const;

  const rules rules_;
};

/// The address is one of the loopback interface, or localhost.
bool is_loopback(const std::string& host);
/// "scheme://host[:port]" without anything behind it, or "*".
bool is_origin(std::string_view text);

} // namespace skep::actors
