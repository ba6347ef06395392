#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Taking JSON apart without changing it. What skep passes on keeps its bytes and its order: the
// order of a schema's properties is the order in which a model writes them, and a provider's prompt
// cache compares text.
namespace skep::json {

/// One member of an object. The value is a piece of the object's own text.
struct member {
  /// Without quotes and escapes.
  std::string name;
  std::string_view value;
};

/// The members of an object in their order; of several with one name the last value stands, at the
/// place of the first, as parsers have it. Nothing when the text is no object. Values are not
/// looked into beyond strings and brackets: whether they are JSON is for whoever parsed the whole.
/// One pass and a sort of the names, no recursion.
std::optional<std::vector<member>> members_of(std::string_view object);

/// Whether several members of the object have one name. Parsers differ in which of them they take.
bool repeats_members(std::string_view object);

/// The elements of an array in their order; nothing when the text is no array.
std::optional<std::vector<std::string_view>> elements_of(std::string_view array);

/// An object of these members; empty when there is none.
std::string object_of(const std::vector<member>& members);

/// The object without these members, everything else as it is; empty when nothing is left or the
/// text is no object.
std::string object_without(std::string_view object, std::initializer_list<std::string_view> names);

/// The object with this member's value instead, or behind all others when it has none; everything
/// else as it is. The value is JSON. A text that is no object stays as it is.
std::string object_with(std::string_view object, std::string_view name, std::string_view value);

/// The same for several members at once. `members` are those that members_of() found in the object;
/// one copy of it, no further pass.
std::string object_with(std::string_view object, const std::vector<member>& members,
                        const std::vector<member>& wanted);

} // namespace skep::json
