#include "runtime/config/environment.hpp"

#include <unistd.h>

#include <algorithm>

namespace skep::config {

environment::environment(variables set) : set_(std::move(set)) {}

environment environment::of_process() {
  variables set;
  for (char** entry = environ; entry && *entry; ++entry) {
    std::string_view line{*entry};
    if (auto eq = line.find('='); eq != std::string_view::npos && eq > 0)
      set.emplace(line.substr(0, eq), line.substr(eq + 1));
  }
  return environment{std::move(set)};
}

std::optional<std::string> environment::get(std::string_view name) const {
  auto found = set_.find(name);
  if (found == set_.end() || found->second.empty())
    return std::nullopt;
  return found->second;
}

std::optional<std::string> reference_name(std::string_view text) {
  constexpr std::string_view prefix = "env.";
  if (text.substr(0, prefix.size()) != prefix)
    return std::nullopt;
  auto name = text.substr(prefix.size());
  auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (name.empty() || digit(name.front())
      || !std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); }))
    return std::nullopt;
  return std::string{name};
}

} // namespace skep::config
