#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace skep::config {

/// Where something was written: a file with line and column (both from 1), or the name of a
/// variable or command-line argument, whose line and column are 1.
struct place {
  std::string file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

/// Who gave a value. Later layers win over earlier ones; below them all are the defaults in code.
enum class layer : std::uint8_t { file, environment, argument };

/// A date or time. TOML has them, no option takes one.
struct timestamp {};

struct value;
struct member;
using array = std::vector<value>;
using object = std::vector<member>;

/// One node of a configuration as written, before an option gave it a meaning. It knows where it
/// came from, so that what is wrong with it can be said with file, line and column.
struct value {
  /// std::monostate means "not given": an option without a value is left out when printed.
  std::variant<std::monostate, bool, std::int64_t, double, std::string, timestamp, array, object>
    data;
  place at;
  layer from = layer::file;
  /// The text as typed, when this came whole from a variable or an argument: options that take
  /// text then take `123` as text too. Empty otherwise.
  std::string raw;
};

/// A key with its value; `at` is where the key stands.
struct member {
  std::string key;
  place at;
  value held;
};

/// A value that came from nowhere, for printing.
template <class T>
value make_value(T data) {
  value made;
  made.data = std::move(data);
  return made;
}

/// What a value is, for people: "an integer", "a table".
std::string_view kind_name(const value& v) noexcept;

/// The member under a key, or nullptr.
const value* find(const object& in, std::string_view key) noexcept;

} // namespace skep::config
