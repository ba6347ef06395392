#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace skep::actors {

/// One JSON object put together from the pieces of a stream, as clients of the API do it: null says
/// nothing, strings grow (those that name something stay as they came first), lists join, objects
/// merge, of numbers and booleans the last one counts. Entries of `thinking_blocks`
/// go by their index, which the whole does not have. What is kept are the bytes
/// that came, and adding a piece costs as much as the piece is long. Pure. Not thread-safe.
class merged_object {
public:
  merged_object();
  merged_object(merged_object&&) noexcept;
  merged_object& operator=(merged_object&&) noexcept;
  ~merged_object();

  /// Merges the members of an object's text; text that is no object says nothing. False when it has
  /// more members than any answer has: then it cannot be put together.
  bool add(std::string_view object);
  /// As add(), but of each member the last value counts that is not null or empty of members; only
  /// `logprobs`, which come by the token, are merged.
  bool add_last(std::string_view object);

  bool has(std::string_view name) const;
  /// The object's text; empty when it has no members.
  std::string text() const;
  /// Memory it keeps, about.
  std::size_t bytes() const {
    return bytes_;
  }

private:
  struct node;

  std::unique_ptr<node> root_; // Null: no members.
  std::size_t bytes_ = 0;
};

} // namespace skep::actors
