#pragma once

#include "runtime/json/check.hpp"
#include "runtime/json/members.hpp"
#include "runtime/json/string.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::json {

/// One object's members, looked up by name; what is not looked into keeps its bytes. Refers to the
/// text it was made from. A text that is no object has no members.
class object {
public:
  explicit object(std::string_view text);
  /// Of members that members_of() found.
  explicit object(std::vector<member> members) : members_(std::move(members)) {}

  /// The member's value as it stands; empty when there is none, or it is null.
  std::string_view at(std::string_view name) const;
  /// Empty when the member is no string.
  std::string text(std::string_view name) const;
  /// 0 when the member is no number above it; fractions are cut off.
  std::uint64_t count(std::string_view name) const;

  bool has(std::string_view name) const {
    return !at(name).empty();
  }
  const std::vector<member>& members() const {
    return members_;
  }

private:
  std::vector<member> members_;
};

/// Writes one object, member by member.
class object_writer {
public:
  /// The value as it stands; an empty one is left out.
  object_writer& raw(std::string_view name, std::string_view value);
  /// Text, written as a JSON string.
  object_writer& text(std::string_view name, std::string_view value);
  object_writer& number(std::string_view name, std::uint64_t value);

  bool empty() const {
    return out_.empty();
  }
  /// The object; `{}` when nothing was written.
  std::string object() const {
    return out_.empty() ? "{}" : out_ + '}';
  }
  /// The object; empty when nothing was written.
  std::string object_or_nothing() const {
    return out_.empty() ? std::string{} : object();
  }

private:
  std::string out_;
};

/// A JSON array of values that are JSON already.
std::string array_of(const std::vector<std::string>& values);

} // namespace skep::json
