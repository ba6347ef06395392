#pragma once

#include "messages/cache.hpp"
#include "messages/chat.hpp"
#include "runtime/base/clock.hpp"

#include <caf/actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// One way to get an answer: a provider and the model to ask there.
struct agent_route {
  /// The provider's name in the configuration.
  std::string provider;
  /// Empty: the model the request names (pass-through agents).
  std::string model;
  caf::actor handle;
};

/// What all instances of one agent share; never changes while the node runs.
struct agent_definition {
  std::string name;
  /// Put in front of every conversation as a system message; may be empty.
  std::string instructions;
  /// Tried in this order until one begins to answer.
  std::vector<agent_route> routes;
  /// Canonical JSON object of default parameters; the request's own win. Empty for none.
  std::string parameters;
  /// The longest a call may take; the caller's own deadline may be shorter.
  duration deadline = 120s;

  /// The response cache; null when the agent does not use it.
  caf::actor cache;
  /// How long an answer stays fresh; zero: as the cache's config says.
  std::chrono::milliseconds cache_ttl{0};
  /// A cache that does not answer by then is passed over.
  duration cache_deadline = 250ms;
  /// Larger answers are not collected for the cache.
  std::size_t cache_value_max = 256 * 1024;
};

using agent_definition_ptr = std::shared_ptr<const agent_definition>;

} // namespace skep::actors
