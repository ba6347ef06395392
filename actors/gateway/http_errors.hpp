#pragma once

#include "actors/gateway/endpoints.hpp"
#include "messages/failure.hpp"
#include "runtime/net/http_message.hpp"

#include <string>
#include <string_view>

namespace skep::actors {

struct denial;

/// The whole error response: envelope, x-should-retry, retry-after (when it makes sense). What
/// every response has, the session adds. `asked` is the endpoint and `anthropic` what
/// is_anthropic() says: each API has its own envelope, and Anthropic's has the request's id in it.
net::http_response error_response(const failure& why, std::string_view param = {},
                                  endpoint asked = endpoint::chat, std::string_view request_id = {},
                                  bool anthropic = false);

/// A response whose body is JSON.
net::http_response json_response(int status, std::string body);

/// The same with an entity tag of its body, for what rarely changes: a client that has it already
/// gets 304 (If-None-Match).
net::http_response stable_response(int status, std::string body);

/// An error that no errc stands for: an unknown URL, a wrong method.
net::http_response refusal(int status, std::string_view message, std::string_view code,
                           std::string_view param = {});

/// The response to a request the HTTP server refuses by itself, in the form of the API that has
/// `path`; no session ever sees it.
net::http_response refused_response(int status, std::string_view message, std::string_view path);

/// The response to a request turned away by its head; `anthropic` is what is_anthropic() says.
net::http_response denied_response(const denial& why, bool anthropic,
                                   const std::string& request_id);

} // namespace skep::actors
