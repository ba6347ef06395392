#pragma once

#include "messages/failure.hpp"

#include <string>
#include <string_view>

// Anthropic's errors as JSON.
namespace skep::actors {

/// Anthropic's own status for too much load; its API has no 503.
inline constexpr int overloaded_status = 529;

/// The status that Anthropic's API has for one of OpenAI's.
int messages_status_of(int status);

/// Anthropic's envelope: {"type":"error","error":{type,message,details},"request_id"}; the type
/// follows from the status. Empty details and an empty request_id are left out.
std::string messages_envelope(int status, std::string_view message, std::string_view request_id,
                              std::string_view details = {});

/// The envelope of a failure.
std::string messages_error_body(const failure& why, std::string_view request_id);

} // namespace skep::actors
