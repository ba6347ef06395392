#include "actors/gateway/http_errors.hpp"

#include "actors/gateway/admission.hpp"
#include "apis/anthropic/error_body.hpp"
#include "apis/chat/api_status.hpp"
#include "apis/openai/error_body.hpp"
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

} // namespace

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

namespace {

/// Whether the provider's own words stand for the status this client sees.
bool tells_in_its_own_words(const failure& why, endpoint asked, int status) {
  const auto api = asked == endpoint::messages    ? msg::native_api::messages
                   : asked == endpoint::chat      ? msg::native_api::chat
                   : asked == endpoint::responses ? msg::native_api::responses
                                                  : msg::native_api::none;
  return !why.provider_body.empty() && why.provider_api == api
         && why.status == static_cast<std::uint32_t>(status);
}

bool is_messages(endpoint asked) {
  return asked == endpoint::messages || asked == endpoint::message_tokens;
}

std::string body_of(const failure& why, std::string_view param, endpoint asked, int status,
                    std::string_view request_id, bool anthropic) {
  if (tells_in_its_own_words(why, asked, status))
    return why.provider_body;
  return anthropic ? messages_error_body(why, request_id) : error_body(why, param);
}

} // namespace

net::http_response error_response(const failure& why, std::string_view param, endpoint asked,
                                  std::string_view request_id, bool anthropic) {
  anthropic = anthropic || is_messages(asked);
  auto shown = api_status_of(why);
  if (anthropic)
    shown.status = messages_status_of(shown.status);
  auto response
    = json_response(shown.status, body_of(why, param, asked, shown.status, request_id, anthropic));
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
                               bool anthropic, const std::string& request_id) {
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
  return sessionless(status, message, code, is_anthropic(normal_path(path), {}),
                     to_string(make_request_id()));
}

net::http_response denied_response(const denial& why, bool anthropic,
                                   const std::string& request_id) {
  auto response = sessionless(why.status, why.message, why.code, anthropic, request_id);
  response.headers.add("x-should-retry", "false");
  for (std::size_t n = 0; n < why.headers.size(); ++n)
    response.headers.add(why.headers.name(n), why.headers.value(n));
  return response;
}

} // namespace skep::actors
