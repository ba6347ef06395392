#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// What follows `prefix` in names that all begin with it, one level deep: of "provider/x" and
/// "provider/x/0" under "provider/" it is "x".
inline std::vector<std::string> names_under(std::string_view prefix,
                                            const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const auto& full : names)
    if (full.find('/', prefix.size()) == std::string::npos)
      found.push_back(full.substr(prefix.size()));
  return found;
}

} // namespace skep::actors
