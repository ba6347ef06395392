#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace skep {

/// Bytes (1 to 4) of the well-formed UTF-8 sequence `text` starts with; 0 when it starts with none.
/// Overlong forms, surrogates and code points above U+10FFFF are not well-formed (RFC 3629).
std::size_t utf8_sequence(std::string_view text) noexcept;

/// The longest prefix of `text` of at most `bytes_max` bytes that does not cut a sequence in two.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) noexcept;

/// `text` with every byte that is not part of a well-formed sequence replaced by U+FFFD.
std::string utf8_repaired(std::string_view text);

} // namespace skep
