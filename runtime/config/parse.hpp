#pragma once

#include "runtime/config/diagnostic.hpp"
#include "runtime/config/value.hpp"

#include <tl/expected.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::config {

/// A file longer than this is refused: nobody wrote it by hand.
inline constexpr std::size_t file_bytes_max = 4u << 20;

/// Tables inside tables (dotted keys count) deeper than this are refused. The parser recurses on
/// them; the options need five levels.
inline constexpr std::size_t depth_max = 64;

/// More dots than this in one line are refused before the text is parsed, because the parser builds
/// `a.a.a.…` as nested tables without a limit and takes them down by recursion.
inline constexpr std::size_t line_dots_max = 1000;

/// The text of a TOML file as a tree. `file` is the name used in places.
tl::expected<value, diagnostic> parse(std::string_view text, const std::string& file);

/// The text of a variable or argument: a TOML value, or else the text itself as a string.
value parse_override(std::string_view text, const place& at, layer from);

/// The parts of a dotted key, TOML quoting understood; nothing when it is no key.
std::optional<std::vector<std::string>> parse_path(std::string_view text);

} // namespace skep::config
