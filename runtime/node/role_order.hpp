#pragma once

#include "runtime/node/role.hpp"

#include <span>
#include <vector>

// What a node derives from what its roles say of themselves. A contradiction is an error in the
// program, not in a configuration; it keeps the node from starting, and its text has the names.
namespace skep::rt {

/// Every role after the roles it needs, otherwise in the order given. errc::actor_failed: a role
/// needs one that is not there, roles need each other in a circle, or two have one name.
expected<std::vector<const role*>> build_order(std::span<const role> roles);

/// The families of all roles. errc::actor_failed: two roles cover a name with different scopes.
expected<std::vector<name_family>> families_of(std::span<const role> roles);

} // namespace skep::rt
