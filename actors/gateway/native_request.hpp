#pragma once

#include "messages/chat.hpp"
#include "runtime/net/http_message.hpp"

namespace skep::actors {

/// Adds what the client sent to what was read of it, for providers that speak the same API: the
/// body, which is moved from the request, and the headers that belong to the API. False: parsers
/// may read different things of the body, so it is not passed on.
bool add_native(net::http_request& from, msg::native_api api, msg::chat_request& to);

} // namespace skep::actors
