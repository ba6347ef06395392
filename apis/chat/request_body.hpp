#pragma once

#include "apis/chat/chat_body.hpp"
#include "runtime/json/object.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

// What the readers of all clients' bodies have in common.
namespace skep::actors {

/// errc::bad_request, and the member at fault.
tl::unexpected<api_error> bad_request(std::string detail, std::string param = {});

/// The same, of what only providers that speak the client's API can serve.
tl::unexpected<api_error> untyped(std::string detail, std::string param);

/// json::check() for a client's body, ready for the error envelope.
tl::expected<void, api_error> check_body(std::string_view text);

/// The members of a client's body, which must be an object. They refer to the text.
tl::expected<json::object, api_error> read_object_body(std::string_view text);

/// A member that is true, false or not given.
tl::expected<bool, api_error> read_flag(const json::object& body, const char* name,
                                        bool missing = false);

/// `stream` and `stream_options`.
struct stream_wish {
  bool stream = false;
  bool include_usage = false;
};
tl::expected<stream_wish, api_error> read_stream(const json::object& body);

} // namespace skep::actors
