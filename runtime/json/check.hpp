#pragma once

#include "runtime/base/expected.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

// The one entry for JSON from outside: bodies of clients, answers and events of providers.
namespace skep::json {

/// Levels of lists and objects inside each other; what is made of a text may be walked recursively.
inline constexpr std::size_t depth_max = 64;
/// Objects, lists, members' names, texts, true, false and null of one text. Numbers are not
/// counted, they cost no more than their bytes: a list of tokens or a vector may have millions.
inline constexpr std::size_t elements_max = 500'000;

/// Whether the text is JSON (RFC 8259, UTF-8) within these bounds. One pass, no tree, no recursion.
/// Numbers must fit a double. errc::bad_request: no JSON, or nested too deeply; errc::too_large:
/// too many elements. The detail says where and goes on where "… is no JSON we can read: " ends.
expected<void> check(std::string_view text);

/// check() for those who ask nothing but whether.
bool is_valid(std::string_view text);

/// How many texts of this process passed a bound.
struct refusal_counts {
  std::uint64_t depth = 0;
  std::uint64_t elements = 0;
};
/// Any thread.
refusal_counts refusals();

} // namespace skep::json
