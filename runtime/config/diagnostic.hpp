#pragma once

#include "messages/failure.hpp"
#include "runtime/config/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::config {

/// One thing that is wrong with a configuration, and where. Never holds the text of a secret.
struct diagnostic {
  std::string file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::string message;

  diagnostic() = default;
  diagnostic(const place& at, std::string what);

  friend bool operator==(const diagnostic&, const diagnostic&) = default;
};

using diagnostics = std::vector<diagnostic>;

/// "file:line:col".
std::string place_text(const diagnostic& d);

/// "file:line:col: message", the form editors jump to.
std::string to_string(const diagnostic& d);

/// One diagnostic a line.
std::string to_string(const diagnostics& all);

/// The same as one errc::bad_config failure.
failure to_failure(const diagnostics& all);

/// The candidate with the smallest Levenshtein distance to `word`, if it is near enough to be a
/// slip of the finger: at most one edit, plus one for every three letters.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

/// Whether the text is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(std::string_view text) noexcept;

/// The text as a TOML basic string, quotes included.
std::string quoted(std::string_view text);

/// Like quoted(), cut after 64 bytes: for names in messages.
std::string quoted_short(std::string_view text);

/// A key as TOML writes it: bare if it can be, quoted if not.
std::string key_text(std::string_view key);

/// `path.key`, the form --set takes; just the key when the path is empty.
std::string join_path(std::string_view path, std::string_view key);

} // namespace skep::config
