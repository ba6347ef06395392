#include "actors/gateway/model_router.hpp"

#include "actors/names_under.hpp"

#include <utility>

namespace skep::actors {

model_router::model_router(rt::environment& env, std::string default_provider)
  : env_(env), default_provider_(std::move(default_provider)) {}

caf::actor model_router::look_up(const std::string& name) {
  if (const auto known = known_.find(name); known != known_.end())
    return known->second;
  // Clients make names up, so only those that exist are kept.
  auto handle = env_.find(name);
  if (handle)
    known_.emplace(name, handle);
  return handle;
}

caf::actor model_router::provider(const std::string& name) {
  return look_up("provider/" + name);
}

caf::actor model_router::embedder(const std::string& name) {
  if (auto batched = look_up("embed/" + name))
    return batched;
  return provider(name);
}

bool model_router::has_agent(const std::string& name) {
  return static_cast<bool>(look_up("agent/" + name));
}

caf::actor model_router::answering_for(const std::string& name) {
  if (auto pool = look_up("model/" + name))
    return pool;
  return provider(name);
}

model_route model_router::find(const std::string& model) {
  if (auto agent = look_up("agent/" + model))
    return {std::move(agent), model, model, model, true};
  // "assistant:complex": a tier of an agent.
  if (const auto colon = model.rfind(':'); colon != std::string::npos)
    if (auto agent = look_up("agent/" + model.substr(0, colon)))
      return {std::move(agent), model, model.substr(0, colon), model.substr(0, colon), true};
  const auto slash = model.find('/');
  if (slash != std::string::npos && slash > 0 && slash + 1 < model.size()) {
    auto name = model.substr(0, slash);
    if (auto handle = answering_for(name))
      return {std::move(handle), model.substr(slash + 1), std::move(name), model};
  }
  if (!default_provider_.empty())
    if (auto handle = answering_for(default_provider_))
      return {std::move(handle), model, default_provider_, default_provider_ + "/" + model};
  return {};
}

bool model_router::in_scope(const model_route& to, const model_scope_ptr& scope) const {
  return to.agent ? allows_agent(scope, to.label)
                  : allows_model(scope, to.label, to.model, default_provider_);
}

std::vector<std::string> model_router::agents(const model_scope_ptr& scope) const {
  std::vector<std::string> found;
  for (auto& name : env_.names("agent/")) {
    name.erase(0, std::string_view{"agent/"}.size()); // What is left may hold a slash.
    if (allows_agent(scope, name))
      found.push_back(std::move(name));
  }
  return found;
}

std::vector<std::string> model_router::providers() const {
  return names_under("provider/", env_.names("provider/"));
}

} // namespace skep::actors
