#pragma once

#include "cli/simulate/script.hpp"

#include <string>
#include <vector>

// How each of the two APIs writes an answer; pure.
namespace skep::cli::simulate::openai {

/// The body of a whole chat completion.
std::string whole(const model_answer& answer);
/// Its events, up to [DONE].
std::vector<piece> events(const model_call& call, const model_answer& answer);
/// {"error": {message, type, param, code}}
std::string error(const error_text& why);
/// The list of models, or one of them when `only` is not empty.
std::string models(const std::vector<std::string>& names, const std::string& only);

} // namespace skep::cli::simulate::openai

namespace skep::cli::simulate::anthropic {

/// The body of a whole message.
std::string whole(const model_answer& answer);
/// Its events, message_start to message_stop.
std::vector<piece> events(const model_answer& answer);
/// {"type": "error", "error": {type, message}}
std::string error(const error_text& why);
std::string models(const std::vector<std::string>& names, const std::string& only);

} // namespace skep::cli::simulate::anthropic
