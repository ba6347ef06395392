#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skep::json {

/// The same bytes for the same value, whatever the order of members, the spacing and the escapes;
/// of several members with one name the last counts, as parsers have it. Whole numbers are equal by
/// value, others by how they are written. For hashing only: it is no JSON. Nothing when the text is
/// no JSON. Takes one pass and a sort of the names; deep nesting costs no recursion.
std::optional<std::string> canonical_form(std::string_view json);

} // namespace skep::json
