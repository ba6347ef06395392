#pragma once

#include "apis/chat/chat_body.hpp"
#include "messages/chat.hpp"
#include "runtime/json/object.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

// What was said in a body of POST /v1/messages; server_request.hpp is the whole of it.
namespace skep::actors {

/// Nothing, or what is wrong with a client's request.
using api_check = tl::expected<void, api_error>;

/// A refusal as Anthropic's API words them, "messages.0.role: …": the path, then what is wrong.
tl::unexpected<api_error> wrong_member(const std::string& where, std::string_view what);
tl::unexpected<api_error> missing_member(const std::string& where);
/// The path of a list's element: "messages" and 0 are "messages.0".
std::string member_at(const std::string& where, std::size_t index);
/// The member must be there and be a string. `where` is the object's path, empty for the body's.
api_check need_text(const json::object& in, std::string_view name, const std::string& where);

/// A conversation in OpenAI's form. Both arguments are JSON as they stand in the body; `system` is
/// empty when there is none.
tl::expected<std::vector<msg::chat_message>, api_error> read_turns(std::string_view system,
                                                                   std::string_view messages);

} // namespace skep::actors
