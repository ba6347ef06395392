#include "messages/errc.hpp"

namespace skep {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::none: return "none";
    case errc::overloaded: return "overloaded";
    case errc::circuit_open: return "circuit_open";
    case errc::unavailable: return "unavailable";
    case errc::deadline_exceeded: return "deadline_exceeded";
    case errc::cancelled: return "cancelled";
    case errc::actor_failed: return "actor_failed";
    case errc::node_down: return "node_down";
    case errc::not_found: return "not_found";
    case errc::cache_miss: return "cache_miss";
    case errc::bad_request: return "bad_request";
    case errc::unauthenticated: return "unauthenticated";
    case errc::forbidden: return "forbidden";
    case errc::malformed: return "malformed";
    case errc::too_large: return "too_large";
    case errc::unexpected_message: return "unexpected_message";
    case errc::transport_failed: return "transport_failed";
    case errc::provider_failed: return "provider_failed";
    case errc::rate_limited: return "rate_limited";
    case errc::quota_exhausted: return "quota_exhausted";
    case errc::provider_auth_failed: return "provider_auth_failed";
    case errc::context_overflow: return "context_overflow";
    case errc::stream_cut: return "stream_cut";
    case errc::content_filtered: return "content_filtered";
    case errc::bad_config: return "bad_config";
    case errc::shutting_down: return "shutting_down";
    case errc::provider_overloaded: return "provider_overloaded";
  }
  return "unknown";
}

std::optional<errc> errc_from(std::uint8_t value) noexcept {
  if (value < errc_count)
    return static_cast<errc>(value);
  return std::nullopt;
}

} // namespace skep
