#pragma once

#include "actors/gateway/model_scope.hpp"
#include "runtime/actor/environment.hpp"

#include <caf/actor.hpp>

#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// Where a model name leads.
struct model_route {
  /// Null when nobody has the model.
  caf::actor handle;
  /// What the agent or provider is asked for.
  std::string model;
  /// The name for metrics: one of the configuration's.
  std::string label;
  /// The model's own name, "agent" or "provider/model", should it exist.
  std::string full;
  /// It is an agent's, else a provider's.
  bool agent = false;
};

/// Finds who answers for a model name: the agent of that name, or of "agent:tier", else for
/// "provider/model" that provider, else the default provider. Providers are reached through their
/// pass-through agents
/// ("model/PROVIDER"), which have the cache in front, where there are any. Handles are remembered,
/// names nobody has are not. Not thread-safe.
class model_router {
public:
  model_router(rt::environment& env, std::string default_provider);

  model_route find(const std::string& model);
  caf::actor provider(const std::string& name);
  /// Who gives a provider's vectors: the embedder in front of it where there is one.
  caf::actor embedder(const std::string& name);
  bool has_agent(const std::string& name);
  /// A key with this scope may go there.
  bool in_scope(const model_route& to, const model_scope_ptr& scope) const;
  /// The agents a key with this scope may use.
  std::vector<std::string> agents(const model_scope_ptr& scope) const;
  std::vector<std::string> providers() const;
  const std::string& default_provider() const {
    return default_provider_;
  }

private:
  caf::actor look_up(const std::string& name);
  caf::actor answering_for(const std::string& provider);

  rt::environment& env_;
  const std::string default_provider_;
  std::unordered_map<std::string, caf::actor> known_;
};

} // namespace skep::actors
