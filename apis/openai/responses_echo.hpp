#pragma once

#include "apis/openai/chat_json.hpp"
#include "runtime/json/object.hpp"

#include <string>
#include <vector>

// What a response repeats of its request, in the form the API promises for answers.
namespace skep::actors {

/// errc::bad_request for the first member whose value is of a wrong type, so that no answer repeats
/// it. Ranges are the provider's to judge.
tl::expected<void, api_error> check_response_body(const json::object& body);

/// JSON object of the repeated members; `tools` are those in force.
std::string echo_of(const json::object& body, const std::vector<std::string>& tools);

} // namespace skep::actors
