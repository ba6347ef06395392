#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skep::json {

/// Text as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view text);
/// Appends what quoted() makes.
void append_quoted(std::string& out, std::string_view text);

/// The text of a JSON string with its quotes; nothing when it is no string.
std::optional<std::string> string_of(std::string_view value);

} // namespace skep::json
