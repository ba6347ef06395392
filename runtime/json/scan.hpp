#pragma once

#include <cstddef>
#include <string_view>

// The bytes of JSON texts, for the sources of this room.
namespace skep::json {

/// The length of the byte order mark the text begins with; parsers skip it.
std::size_t mark_length(std::string_view text);

/// Where the first byte from `at` on is that is no white space; the text's size when there is none.
std::size_t space_end(std::string_view text, std::size_t at);

/// Where the first quote or backslash from `at` on is; the text's size when there is none.
std::size_t quote_or_escape(std::string_view text, std::size_t at);

/// Where the first byte from `at` on is that a JSON string cannot take unread: a quote, a
/// backslash, a control character or a byte outside of ASCII; the text's size when there is none.
std::size_t plain_end(std::string_view text, std::size_t at);

/// A string that was read to its end or up to its first fault.
struct string_scan {
  /// Behind the closing quote, or where the fault is.
  std::size_t end = 0;
  /// What is wrong; null when nothing is.
  const char* fault = nullptr;
  bool has_escapes = false;
};

/// Reads the string whose opening quote is at `at`: its escapes, its UTF-8 and its end.
string_scan scan_string(std::string_view text, std::size_t at);

/// The code unit of "\uXXXX" at `at`, where the backslash is; a negative number when there is none.
int code_unit(std::string_view text, std::size_t at);
constexpr bool is_high_surrogate(int unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
constexpr bool is_low_surrogate(int unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

} // namespace skep::json
