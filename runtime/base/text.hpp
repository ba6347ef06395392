#pragma once

#include <algorithm>
#include <string_view>

namespace skep {

/// Blanks, tabs and line ends, which are JSON's white space as well.
inline constexpr std::string_view white_space = " \t\r\n";

/// Text without blanks and tabs at either end, or without other characters.
constexpr std::string_view trimmed(std::string_view text, std::string_view of = " \t") {
  text.remove_prefix(std::min(text.find_first_not_of(of), text.size()));
  return text.substr(0, text.find_last_not_of(of) + 1);
}

constexpr bool is_blank(std::string_view text) {
  return text.find_first_not_of(white_space) == std::string_view::npos;
}

/// Takes the next piece off the front of a list.
constexpr std::string_view next_of(std::string_view& list, char separator) {
  const auto piece = list.substr(0, list.find(separator));
  list.remove_prefix(std::min(list.size(), piece.size() + 1));
  return piece;
}

} // namespace skep
