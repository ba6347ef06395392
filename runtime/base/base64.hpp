#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skep {

/// Base64 of RFC 4648, section 4, with its padding and without line breaks.
std::string to_base64(std::string_view bytes);

/// Nothing when the text is not what to_base64() writes.
std::optional<std::string> from_base64(std::string_view text);

} // namespace skep
