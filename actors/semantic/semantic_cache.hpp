#pragma once

#include "actors/semantic/config.hpp"
#include "actors/semantic/meters.hpp"
#include "messages/provider.hpp"
#include "messages/semantic.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/rng.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// The semantic cache of one node, published as "semantic" and spawned by its supervisor: texts as
/// vectors, by policy and partition, and what comparisons have taught about them. The answers
/// themselves lie in the response cache. Nothing here fails a request: whatever goes wrong, a find
/// is answered with no candidate. A restart forgets everything and begins in shadow again.
///
/// With a provider's vectors, texts that come within batch_wait of each other share one request.
class semantic_cache : public rt::bounded_actor {
public:
  /// The policies by name; `seed` decides which would-be hits are explored.
  using policies = std::map<std::string, semantic_config>;

  semantic_cache(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 const policies& from, std::uint64_t seed);

protected:
  caf::behavior make_behavior() override;

private:
  /// Gets a text's vector; an empty one when there is none.
  using on_vector = std::function<void(const store::byte_vector&)>;

  struct waiting_text {
    std::string text;
    on_vector then;
  };
  struct known_vector {
    std::string text;
    store::byte_vector vector;
  };
  struct route {
    route(const semantic_config& from, telemetry::registry& metrics, const std::string& name);

    semantic_config config;
    store::semantic_policy policy;
    semantic_meters meters;
    // With a provider's vectors.
    std::string provider;
    std::string model;
    std::vector<waiting_text> waiting;
    std::size_t asked = 0;
    std::uint64_t timer = 0;
    // The vectors of the latest finds: the learn that follows needs them again.
    std::deque<known_vector> recent;
  };

  void find(const rt::call& c, const msg::semantic_find_request& request);
  void learn(const msg::semantic_learn_request& request);
  void revoke(const rt::call& c, const msg::semantic_revoke_request& request);
  void compare(route& on, const msg::semantic_learn_request& request);
  route* route_of(const std::string& policy, const std::string& text);
  void sweep();

  void with_vector(route& on, const std::string& text, on_vector then);
  void flush(route& on);
  void vectors_came(route& on, std::vector<waiting_text>& batch, const rt::answer& got);

  std::map<std::string, std::unique_ptr<route>> routes_;
  flow::rng random_;
};

} // namespace skep::actors
