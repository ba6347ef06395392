#pragma once

#include "messages/chat.hpp"
#include "messages/errc.hpp"

#include <string>
#include <string_view>

// Parts of a response that come from a chat's, as the Responses API spells them.
namespace skep::actors {

/// Usage as the API counts it, JSON.
std::string response_usage(const msg::token_usage& usage);

/// One of the codes the API has for a response that failed.
std::string_view response_error_code(errc code);
/// The `type` of the object in its `error` event.
std::string_view response_error_type(errc code);

/// A token's log probability with all members the API promises: `bytes` and `top_logprobs` are
/// lists, whatever the provider sent. JSON.
std::string whole_logprob(std::string_view raw);

} // namespace skep::actors
