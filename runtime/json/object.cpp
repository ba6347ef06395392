#include "runtime/json/object.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace skep::json {

object::object(std::string_view text)
  : members_(members_of(text).value_or(std::vector<member>{})) {}

std::string_view object::at(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [name](const member& each) { return each.name == name; });
  return found == members_.end() || found->value == "null" ? std::string_view{} : found->value;
}

std::string object::text(std::string_view name) const {
  return string_of(at(name)).value_or(std::string{});
}

std::uint64_t object::count(std::string_view name) const {
  const auto digits = at(name);
  double value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool all = read.ec == std::errc{} && read.ptr == digits.data() + digits.size();
  return all && value > 0 && value < 9e15 ? static_cast<std::uint64_t>(value) : 0;
}

namespace {

void append_name(std::string& out, std::string_view name) {
  out += out.empty() ? '{' : ',';
  append_quoted(out, name);
  out += ':';
}

} // namespace

object_writer& object_writer::raw(std::string_view name, std::string_view value) {
  if (value.empty())
    return *this;
  append_name(out_, name);
  out_ += value;
  return *this;
}

object_writer& object_writer::text(std::string_view name, std::string_view value) {
  append_name(out_, name);
  append_quoted(out_, value);
  return *this;
}

object_writer& object_writer::number(std::string_view name, std::uint64_t value) {
  return raw(name, std::to_string(value));
}

std::string array_of(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const auto& value : values) {
    if (out.size() > 1)
      out += ',';
    out += value;
  }
  return out + ']';
}

} // namespace skep::json
