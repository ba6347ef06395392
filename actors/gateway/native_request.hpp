#pragma once

#include "messages/chat.hpp"
#include "runtime/net/http_message.hpp"

#include <optional>

namespace skep::actors {

/// What the client sent, for providers that speak the same API: the body, which is moved from the
/// request, and the headers that belong to the API. Nothing when parsers may read different things
/// of the body, so that it is not passed on.
std::optional<msg::native_request> native_request_from(net::http_request& from,
                                                       msg::native_api api);

/// Adds it, if there is one, to what was read of it.
void add_native(std::optional<msg::native_request> native, msg::chat_request& to);

} // namespace skep::actors
