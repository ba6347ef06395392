#include "runtime/config/parse.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

namespace skep::config {

namespace {

/// Turns the parser's nodes into ours.
class converter {
public:
  explicit converter(const std::string& file) : file_(file) {}

  value convert(const toml::node& from, std::size_t depth) {
    value made;
    made.at = at(from.source());
    if (depth > depth_max) {
      if (!too_deep_)
        too_deep_ = made.at;
      return made;
    }
    switch (from.type()) {
      case toml::node_type::table: made.data = members(*from.as_table(), depth); break;
      case toml::node_type::array: made.data = elements(*from.as_array(), depth); break;
      case toml::node_type::string: made.data = from.as_string()->get(); break;
      case toml::node_type::integer: made.data = from.as_integer()->get(); break;
      case toml::node_type::floating_point: made.data = from.as_floating_point()->get(); break;
      case toml::node_type::boolean: made.data = from.as_boolean()->get(); break;
      default: made.data = timestamp{}; break;
    }
    return made;
  }

  [[nodiscard]] const std::optional<place>& too_deep() const noexcept {
    return too_deep_;
  }

private:
  [[nodiscard]] place at(const toml::source_region& source) const {
    return {file_, std::max(source.begin.line, 1u), std::max(source.begin.column, 1u)};
  }

  object members(const toml::table& from, std::size_t depth) {
    object made;
    made.reserve(from.size());
    for (const auto& [key, held] : from)
      made.push_back({std::string{key.str()}, at(key.source()), convert(held, depth + 1)});
    return made;
  }

  array elements(const toml::array& from, std::size_t depth) {
    array made;
    made.reserve(from.size());
    for (const auto& held : from)
      made.push_back(convert(held, depth + 1));
    return made;
  }

  const std::string& file_;
  std::optional<place> too_deep_;
};

/// Refuses, before parsing, what would make the parser recurse without a limit.
std::optional<diagnostic> screen(std::string_view text, const std::string& file) {
  if (text.size() > file_bytes_max)
    return diagnostic{{file}, fmt::format("the file is over {} bytes", file_bytes_max)};
  std::uint32_t line = 1;
  std::size_t dots = 0;
  for (char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
    } else if (c == '.' && ++dots > line_dots_max) {
      return diagnostic{{file, line, 1}, fmt::format("over {} dots in one line", line_dots_max)};
    }
  }
  return std::nullopt;
}

} // namespace

tl::expected<value, diagnostic> parse(std::string_view text, const std::string& file) try {
  if (auto problem = screen(text, file))
    return tl::make_unexpected(std::move(*problem));
  auto parsed = toml::parse(text, file);
  converter into{file};
  auto made = into.convert(parsed, 0);
  if (into.too_deep())
    return tl::make_unexpected(
      diagnostic{*into.too_deep(), fmt::format("over {} tables inside each other", depth_max)});
  return made;
} catch (const toml::parse_error& e) {
  const auto& where = e.source().begin;
  return tl::make_unexpected(
    diagnostic{{file, std::max(where.line, 1u), std::max(where.column, 1u)},
               fmt::format("this is not TOML: {}", e.description())});
}

value parse_override(std::string_view text, const place& at, layer from) {
  value made = make_value(std::string{text});
  // A line break in the text could smuggle in a second key: only one member counts as a value.
  if (auto parsed = parse(fmt::format("x = {}", text), at.file))
    if (auto& members = std::get<object>(parsed->data); members.size() == 1)
      made = std::move(members.front().held);
  made.raw = text;
  struct {
    const place& at;
    layer from;
    void operator()(value& v) const {
      v.at = at;
      v.from = from;
      if (auto* list = std::get_if<array>(&v.data))
        for (auto& element : *list)
          (*this)(element);
      if (auto* table = std::get_if<object>(&v.data))
        for (auto& m : *table) {
          m.at = at;
          (*this)(m.held);
        }
    }
  } const stamp{at, from};
  stamp(made);
  return made;
}

std::optional<std::vector<std::string>> parse_path(std::string_view text) {
  auto parsed = parse(fmt::format("{} = 0", text), {});
  if (!parsed)
    return std::nullopt;
  std::vector<std::string> path;
  const value* at = &*parsed;
  while (const auto* members = std::get_if<object>(&at->data)) {
    if (members->size() != 1)
      return std::nullopt;
    path.push_back(members->front().key);
    at = &members->front().held;
  }
  if (!std::holds_alternative<std::int64_t>(at->data))
    return std::nullopt;
  return path;
}

} // namespace skep::config
