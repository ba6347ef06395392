#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[provider.NAME]`: a connector per base URL, each behind a guard with its own circuit breaker,
/// published as "provider/NAME/0", …; "provider/NAME" is the balancer over them, or the one itself.
rt::role provider_role();

} // namespace skep::actors
