#include "apis/chat/api_status.hpp"

namespace skep::actors {

api_status api_status_of(errc code) {
  switch (code) {
    case errc::overloaded: return {503, "server_error", "server_is_overloaded", true};
    case errc::circuit_open: return {503, "server_error", "server_is_overloaded", true};
    case errc::unavailable: return {503, "server_error", "slow_down", true};
    case errc::provider_overloaded: return {503, "server_error", "server_is_overloaded", true};
    case errc::shutting_down: return {503, "server_error", "shutting_down", true};
    case errc::deadline_exceeded: return {504, "server_error", "timeout", false};
    case errc::cancelled: return {499, "invalid_request_error", "client_closed_request", false};
    case errc::not_found: return {404, "invalid_request_error", "model_not_found", false};
    case errc::bad_request: return {400, "invalid_request_error", {}, false};
    case errc::context_overflow:
      return {400, "invalid_request_error", "context_length_exceeded", false};
    case errc::content_filtered: return {400, "invalid_request_error", "content_filter", false};
    case errc::unauthenticated: return {401, "invalid_request_error", "invalid_api_key", false};
    case errc::forbidden: return {403, "invalid_request_error", "forbidden", false};
    case errc::too_large: return {413, "invalid_request_error", "request_too_large", false};
    case errc::rate_limited: return {429, "requests", "rate_limit_exceeded", true};
    case errc::quota_exhausted: return {429, "insufficient_quota", "insufficient_quota", false};
    case errc::provider_auth_failed:
      return {502, "server_error", "upstream_credentials_exhausted", false};
    case errc::transport_failed: return {502, "server_error", "upstream_unreachable", false};
    case errc::provider_failed: return {502, "server_error", "upstream_failed", false};
    case errc::stream_cut: return {502, "server_error", "upstream_cut", false};
    case errc::malformed: return {502, "server_error", "upstream_malformed", false};
    case errc::node_down: return {503, "server_error", "node_down", true};
    case errc::none:
    case errc::actor_failed:
    case errc::cache_miss:
    case errc::unexpected_message:
    case errc::bad_config: return {500, "server_error", "internal_error", false};
  }
  return {500, "server_error", "internal_error", false};
}

api_status api_status_of(const failure& why) {
  auto shown = api_status_of(why.code);
  if (why.code == errc::bad_request && why.status == 409)
    shown = {409, "invalid_request_error", "conflict", true};
  else if (why.code == errc::bad_request && why.status == 422)
    shown.status = 422;
  else if (why.code == errc::bad_request && why.status == 501)
    shown = {501, "server_error", "not_implemented", false};
  shown.should_retry = shown.should_retry && why.tries <= 1;
  return shown;
}

std::string text_of(const failure& why) {
  return why.detail.empty() ? std::string{to_string(why.code)} : why.detail;
}

} // namespace skep::actors
