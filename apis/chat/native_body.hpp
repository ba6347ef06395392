#pragma once

#include "messages/chat.hpp"
#include "runtime/json/object.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// The body for a provider: the client's, of which `sent` are the members, for this model, streamed
/// or whole, with these changes besides.
std::string native_body_for(const msg::native_request& given, const json::object& sent,
                            std::string_view model, bool stream, std::vector<json::member> changes);

} // namespace skep::actors
