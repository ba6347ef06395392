#pragma once

#include <string>
#include <string_view>

namespace skep::actors {

/// The events of a stream that amounts to this whole response: each item in one go, texts and
/// arguments as one piece each. `response` is JSON, an object.
std::string play_response(std::string_view response);

} // namespace skep::actors
