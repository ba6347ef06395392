#include "runtime/config/value.hpp"

#include <array>

namespace skep::config {

std::string_view kind_name(const value& v) noexcept {
  // In the order of the variant.
  static constexpr std::array<std::string_view, 8> names{"nothing", "a boolean", "an integer",
                                                         "a float", "a string",  "a date or time",
                                                         "a list",  "a table"};
  return names[v.data.index()];
}

const value* find(const object& in, std::string_view key) noexcept {
  for (const auto& m : in)
    if (m.key == key)
      return &m.held;
  return nullptr;
}

} // namespace skep::config
