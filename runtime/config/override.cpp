#include "runtime/config/override.hpp"

#include "runtime/config/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace skep::config {

namespace {

constexpr std::string_view variable_prefix = "SKEP_";

char folded(char c) {
  if (c == '-')
    return '_';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string folded(std::string_view text) {
  std::string made{text};
  std::transform(made.begin(), made.end(), made.begin(), [](char c) { return folded(c); });
  return made;
}

/// Walks and extends a tree along a path.
struct assignment {
  value& root;
  diagnostics& problems;
  /// Names match whatever their case: variable names are upper case by custom.
  bool fold;

  void put(const std::vector<std::string>& path, value leaf) const {
    value* at = &root;
    std::string walked;
    for (const auto& part : path) {
      at = child(*at, part, walked, leaf.at);
      if (!at)
        return;
      walked = join_path(walked, part);
    }
    *at = std::move(leaf);
  }

private:
  value* child(value& parent, const std::string& part, const std::string& walked,
               const place& at) const {
    if (std::holds_alternative<std::monostate>(parent.data)) {
      parent.data = object{};
      parent.at = at;
    }
    if (auto* members = std::get_if<object>(&parent.data))
      return &member_of(*members, part, at);
    if (auto* elements = std::get_if<array>(&parent.data))
      return element_of(*elements, part, walked, at);
    problems.emplace_back(at, fmt::format("{} is {}, it has no {} inside", quoted_short(walked),
                                          kind_name(parent), quoted_short(part)));
    return nullptr;
  }

  [[nodiscard]] value& member_of(object& members, const std::string& part, const place& at) const {
    for (auto& m : members)
      if (m.key == part || (fold && folded(m.key) == part)) {
        // What is wrong with a value is told where the value came from.
        if (!std::holds_alternative<object>(m.held.data)
            && !std::holds_alternative<array>(m.held.data))
          m.at = at;
        return m.held;
      }
    // The parser sorts keys; entries added here take their place among them.
    auto after
      = std::find_if(members.begin(), members.end(), [&](const member& m) { return m.key > part; });
    return members.insert(after, member{part, at, {}})->held;
  }

  value* element_of(array& elements, const std::string& part, const std::string& walked,
                    const place& at) const {
    std::size_t index = 0;
    auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (problem == std::errc{} && end == part.data() + part.size() && index < elements.size())
      return &elements[index];
    problems.emplace_back(at,
                          fmt::format("{} is a list of {} entries, counted from 0: {} is none",
                                      quoted_short(walked), elements.size(), quoted_short(part)));
    return nullptr;
  }
};

/// SKEP_CACHE__TTL_MS as {"cache", "ttl_ms"}; empty when the variable is not for us.
std::vector<std::string> path_of(std::string_view variable) {
  if (variable.substr(0, variable_prefix.size()) != variable_prefix
      || variable.find("__") == std::string_view::npos)
    return {};
  auto rest = folded(variable.substr(variable_prefix.size()));
  std::vector<std::string> path;
  for (std::size_t begin = 0;;) {
    auto end = rest.find("__", begin);
    path.push_back(rest.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos)
      return path;
    begin = end + 2;
  }
}

} // namespace

void apply_environment(value& root, const environment& env, diagnostics& problems) {
  for (const auto& [name, text] : env.all()) {
    auto path = path_of(name);
    if (path.empty() || text.empty())
      continue;
    const place at{name};
    if (!is_utf8(name))
      problems.emplace_back(at, "the name is not UTF-8");
    else if (path.size() > depth_max)
      problems.emplace_back(at, fmt::format("over {} levels", depth_max));
    else
      assignment{root, problems, true}.put(path, parse_override(text, at, layer::environment));
  }
}

void apply_argument(value& root, const std::string& argument, diagnostics& problems) {
  // Names with an equals sign in them cannot be set from here; they stand in no shipped option.
  auto eq = argument.find('=');
  auto key = argument.substr(0, eq);
  // The value is not part of the place: it may be something people should not see.
  const place at{"--set " + key};
  auto path = eq == std::string::npos ? std::nullopt : parse_path(key);
  if (!path || path->size() < 2) {
    problems.emplace_back(at, "write section.key=value");
    return;
  }
  assignment{root, problems, false}.put(
    *path, parse_override(std::string_view{argument}.substr(eq + 1), at, layer::argument));
}

} // namespace skep::config
