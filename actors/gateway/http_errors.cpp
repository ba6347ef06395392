#include "actors/gateway/http_errors.hpp"

#include "actors/common/anthropic_door.hpp"
#include "actors/common/openai_json.hpp"
#include "actors/gateway/admission.hpp"
#include "messages/ids.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <cstdio>

namespace skep::actors {

namespace {

// Clients obey a retry-after of up to a minute.
constexpr std::chrono::milliseconds retry_after_max{60'000};
constexpr std::chrono::milliseconds retry_after_default{1'000};

// Anthropic's own status for too much load; its API has no 503.
constexpr int overloaded_status = 529;

bool says_when(int status) {
  return status == 429 || status == 503 || status == overloaded_status;
}

/// Seconds, rounded up: 0 would ask for an immediate retry.
void add_retry_after(net::http_headers& headers, std::chrono::milliseconds after) {
  after = std::clamp(after.count() > 0 ? after : retry_after_default, std::chrono::milliseconds{1},
                     retry_after_max);
  headers.add("retry-after", std::to_string((after.count() + 999) / 1000));
  headers.add("retry-after-ms", std::to_string(after.count()));
}

std::string_view type_of_status(int status) {
  return status >= 500 ? "server_error" : "invalid_request_error";
}

int messages_status_of(int status) {
  return status == 503 ? overloaded_status : status;
}

std::string_view messages_type_of(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case overloaded_status: return "overloaded_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string messages_envelope(int status, std::string_view message, std::string_view request_id,
                              std::string_view details = {}) {
  const auto error = json::object_writer{}
                       .text("type", messages_type_of(status))
                       .text("message", message)
                       .raw("details", details)
                       .object();
  json::object_writer out;
  out.raw("type", R"("error")").raw("error", error);
  if (!request_id.empty())
    out.text("request_id", request_id);
  return out.object();
}

std::string text_of(const failure& why) {
  return why.detail.empty() ? std::string{to_string(why.code)} : why.detail;
}

} // namespace

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

std::string error_body(const failure& why, std::string_view param) {
  const auto shown = api_status_of(why);
  const auto either = [](std::string_view first, std::string_view otherwise) {
    return first.empty() ? otherwise : first;
  };
  return write_error(text_of(why), either(why.provider_type, shown.type), either(param, why.param),
                     either(why.provider_code, shown.code));
}

std::string messages_error_body(const failure& why, std::string_view request_id) {
  std::string details;
  if (why.provider_code == thread_unsupported_code)
    details = json::object_writer{}
                .text("error_code", why.provider_code)
                .raw("unsupported", R"(["thread"])")
                .object();
  return messages_envelope(messages_status_of(api_status_of(why).status), text_of(why), request_id,
                           details);
}

net::http_response json_response(int status, std::string body) {
  net::http_response response;
  response.status = status;
  response.headers.add("content-type", "application/json");
  response.body = std::move(body);
  return response;
}

net::http_response stable_response(int status, std::string body) {
  // Weak: the same tag stands for the body compressed.
  char tag[24];
  std::snprintf(tag, sizeof tag, "W/\"%016llx\"", static_cast<unsigned long long>(fnv1a(body)));
  auto response = json_response(status, std::move(body));
  response.headers.add("etag", tag);
  response.headers.add("cache-control", "private, no-cache"); // Ask, but with the tag.
  return response;
}

net::http_response refusal(int status, std::string_view message, std::string_view code,
                           std::string_view param) {
  return json_response(status, write_error(message, type_of_status(status), param, code));
}

net::http_response error_response(const failure& why, std::string_view param, endpoint asked,
                                  std::string_view request_id) {
  auto shown = api_status_of(why);
  const bool anthropic = asked == endpoint::messages;
  if (anthropic)
    shown.status = messages_status_of(shown.status);
  auto response = json_response(shown.status, anthropic ? messages_error_body(why, request_id)
                                                        : error_body(why, param));
  response.headers.add("x-should-retry", shown.should_retry ? "true" : "false");
  if (shown.status == 401)
    response.headers.add("www-authenticate", "Bearer");
  if (!why.provider.empty())
    response.headers.add("x-skep-provider", why.provider);
  if (why.tries > 0)
    response.headers.add("x-skep-attempts", std::to_string(why.tries));
  if (says_when(shown.status))
    add_retry_after(response.headers, why.retry_after);
  return response;
}

namespace {

/// An error response with what a session would have added.
net::http_response sessionless(int status, std::string_view message, std::string_view code,
                               std::string_view path, const std::string& request_id) {
  const bool anthropic = is_anthropic(path);
  auto response
    = anthropic
        ? json_response(status, messages_envelope(messages_status_of(status), message, request_id))
        : refusal(status, message, code);
  response.headers.add("x-request-id", request_id);
  if (anthropic)
    response.headers.add("request-id", request_id);
  return response;
}

} // namespace

net::http_response refused_response(int status, std::string_view message, std::string_view path) {
  const auto code = status == 503 ? std::string_view{"server_is_overloaded"} : std::string_view{};
  return sessionless(status, message, code, normal_path(path), to_string(make_request_id()));
}

net::http_response denied_response(const denial& why, std::string_view path,
                                   const std::string& request_id) {
  auto response = sessionless(why.status, why.message, why.code, path, request_id);
  response.headers.add("x-should-retry", "false");
  for (std::size_t n = 0; n < why.headers.size(); ++n)
    response.headers.add(why.headers.name(n), why.headers.value(n));
  return response;
}

} // namespace skep::actors
