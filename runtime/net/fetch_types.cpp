#include "runtime/net/fetch_types.hpp"

#include <strings.h>

namespace skep::net {

std::optional<std::string_view> find_header(const fetch_headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0)
      return value;
  return std::nullopt;
}

std::string_view to_string(fetch_error error) noexcept {
  switch (error) {
    case fetch_error::none: return "none";
    case fetch_error::invalid_request: return "invalid_request";
    case fetch_error::dns: return "dns";
    case fetch_error::connect_failed: return "connect_failed";
    case fetch_error::connect_timeout: return "connect_timeout";
    case fetch_error::tls: return "tls";
    case fetch_error::reset: return "reset";
    case fetch_error::first_byte_timeout: return "first_byte_timeout";
    case fetch_error::idle_timeout: return "idle_timeout";
    case fetch_error::total_timeout: return "total_timeout";
    case fetch_error::cut: return "cut";
    case fetch_error::too_large: return "too_large";
    case fetch_error::protocol: return "protocol";
    case fetch_error::encoding: return "encoding";
    case fetch_error::cancelled: return "cancelled";
    case fetch_error::shutdown: return "shutdown";
  }
  return "unknown";
}

errc to_errc(fetch_error error) noexcept {
  switch (error) {
    case fetch_error::none: return errc::none;
    case fetch_error::invalid_request: return errc::bad_request;
    case fetch_error::first_byte_timeout:
    case fetch_error::total_timeout: return errc::deadline_exceeded;
    // The answer had begun and will not be finished: to the caller that is a cut.
    case fetch_error::idle_timeout:
    case fetch_error::cut: return errc::stream_cut;
    case fetch_error::too_large: return errc::too_large;
    case fetch_error::encoding: return errc::malformed;
    case fetch_error::cancelled: return errc::cancelled;
    case fetch_error::shutdown: return errc::shutting_down;
    case fetch_error::dns:
    case fetch_error::connect_failed:
    case fetch_error::connect_timeout:
    case fetch_error::tls:
    case fetch_error::reset:
    case fetch_error::protocol: return errc::transport_failed;
  }
  return errc::transport_failed;
}

} // namespace skep::net
