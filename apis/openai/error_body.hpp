#pragma once

#include "messages/failure.hpp"

#include <string>
#include <string_view>

// OpenAI's errors as JSON.
namespace skep::actors {

/// `{"error":{message,type,param,code}}`, all four always there; empty param and code are null.
std::string write_error(std::string_view message, std::string_view type, std::string_view param,
                        std::string_view code);

/// The envelope alone, for an error in the middle of a stream. What the provider said of a fault of
/// the request stands in it as it came.
std::string error_body(const failure& why, std::string_view param);

} // namespace skep::actors
