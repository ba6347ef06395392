#pragma once

#include <optional>
#include <string>
#include <string_view>

// What the cache keeps of an answer says whose it is: whatever finds it (a key, a similar text, a
// copy on another node, Redis), only its own tenant is answered with it.
namespace skep::actors {

/// What stands before an answer's bytes: the tenant's name with its length.
std::string begin_kept(std::string_view tenant);

/// The bytes behind it; nothing when they are another tenant's, or it is no such value.
std::optional<std::string_view> kept_for(std::string_view tenant, std::string_view value);

} // namespace skep::actors
