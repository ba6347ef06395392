#pragma once

#include "messages/chat.hpp"
#include "runtime/net/http_message.hpp"

namespace skep::actors {

/// Adds Cache-Status (RFC 9211), the plain header beside it, and where the answer came from.
void add_origin_headers(net::http_headers& headers, const msg::answer_origin& origin);

} // namespace skep::actors
