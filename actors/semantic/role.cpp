#include "actors/semantic/role.hpp"

#include "actors/semantic/semantic_cache.hpp"
#include "runtime/flow/thread_rng.hpp"

namespace skep::actors {

namespace {

/// Learning must not be able to fill the memory: a full mailbox costs lookups, nothing else.
rt::mailbox_bounds bounds() {
  rt::mailbox_bounds made;
  made.messages_max = 4096;
  made.bytes_max = std::size_t{64} << 20;
  return made;
}

expected<void> build(rt::role_context& node) {
  semantic_cache::policies policies;
  for (const auto& [name, from] : node.config().all<semantic_config>("semantic"))
    policies.emplace(name, from);
  if (policies.empty())
    return {};
  const auto& kind = node.kind("semantic", bounds());
  auto& env = node.env();
  rt::child_spec spec;
  spec.name = "semantic";
  spec.guard.use_breaker = false; // Nothing behind it can be down: it answers without vectors, too.
  spec.start = [&env, &kind, policies] {
    return env.spawn<semantic_cache>(kind, policies, flow::thread_rng()());
  };
  node.supervise(std::move(spec));
  return {};
}

} // namespace

rt::role semantic_role() {
  rt::role made;
  made.name = "semantic";
  made.publishes = {{"semantic"}};
  made.declare = [](config::schema& accepted) {
    accepted.section("semantic", config::cardinality::named, semantic_table(),
                     "Policies of the semantic cache; without any it is off.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
