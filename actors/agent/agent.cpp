#include "actors/agent/agent.hpp"

#include "actors/agent/prompt.hpp"
#include "messages/core.hpp"
#include "runtime/flow/thread_rng.hpp"
#include "runtime/telemetry/metric.hpp"

#include <algorithm>
#include <random>

namespace skep::actors {

namespace {

/// The contexts assembled on this worker thread: what one agent of it has read, all have.
context_cache& thread_contexts() {
  thread_local context_cache contexts{[] {
    context_cache_config config;
    std::random_device system;
    config.seed = std::uint64_t{system()} << 32 | system();
    return config;
  }()};
  return contexts;
}

} // namespace

agent::agent(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
             agent_definition_ptr definition)
  : bounded_actor(config, env, kind), definition_(std::move(definition)) {}

caf::behavior agent::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& request) { begin(c, request); },
    [](const msg::ack&) {
      // Warm-up: the behaviour is built and the instance is live.
    },
  };
}

void agent::begin(const rt::call& c, const msg::chat_request& request) {
  const auto tier = tier_of(request.model, definition_->name);
  if (!tier.empty() && !has_tier(definition_->plan, tier)) {
    refuse(c, failure{errc::not_found,
                      "agent " + definition_->name + " has no tier \"" + std::string{tier} + "\""});
    return;
  }
  auto context = c.context;
  if (definition_->deadline > duration::zero())
    context.deadline = std::min(context.deadline, now() + definition_->deadline);
  auto& contexts = thread_contexts();
  const auto before = contexts.stats().misses;
  auto wanted = flight_for(*definition_, request, context, contexts, now(), flow::thread_rng());
  count_route(wanted);
  if (auto* meter = contexts.stats().misses == before ? definition_->contexts_reused
                                                      : definition_->contexts_assembled)
    meter->inc();
  pass_on(c, std::move(context), definition_->flight, std::move(wanted));
}

/// By the model that is asked first.
void agent::count_route(const msg::flight_request& wanted) const {
  const auto& models = definition_->plan.models;
  if (wanted.routes.empty())
    return;
  for (std::size_t n = 0; n < definition_->routed.size(); ++n)
    if (models[n].route == wanted.routes.front()) {
      definition_->routed[n]->inc();
      return;
    }
}

} // namespace skep::actors
