#include "apis/anthropic/error_body.hpp"

#include "apis/anthropic/server_request.hpp"
#include "apis/chat/api_status.hpp"
#include "runtime/json/object.hpp"

namespace skep::actors {

namespace {

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

} // namespace

int messages_status_of(int status) {
  return status == 503 ? overloaded_status : status;
}

std::string messages_envelope(int status, std::string_view message, std::string_view request_id,
                              std::string_view details) {
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

} // namespace skep::actors
