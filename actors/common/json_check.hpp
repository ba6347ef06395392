#pragma once

#include "runtime/base/expected.hpp"

#include <cstddef>
#include <string_view>

// The one door for JSON from outside: bodies of clients, answers and events of providers.
namespace skep::actors {

/// Levels of lists and objects inside each other; what is made of a text may be walked recursively.
inline constexpr std::size_t json_depth_max = 64;
/// Objects, lists, members' names, texts, true, false and null of one text. Numbers are not
/// counted, they cost no more than their bytes: a list of tokens or a vector may have millions.
inline constexpr std::size_t json_elements_max = 500'000;

/// Whether the text is JSON within these bounds. One pass, no tree, no recursion.
/// errc::bad_request: no JSON, or nested too deeply; errc::too_large: too many elements. The detail
/// goes on where "… is no JSON we can read: " ends.
expected<void> check_json(std::string_view text);

/// check_json() for those who ask nothing but whether.
bool is_sane_json(std::string_view text);

} // namespace skep::actors
