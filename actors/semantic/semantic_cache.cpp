#include "actors/semantic/semantic_cache.hpp"

#include "apis/openai/embeddings_json.hpp"
#include "messages/core.hpp"
#include "runtime/store/lexical_embedder.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

constexpr duration sweep_every = 1min;
// As many finds may be between their lookup and their answer and still be learnt without asking for
// the vector again.
constexpr std::size_t recent_max = 256;

store::key128 key_of(const msg::cache_key& key) {
  return {key.high, key.low};
}

msg::cache_key key_of(const store::key128& key) {
  return {key.high, key.low};
}

} // namespace

semantic_cache::route::route(const semantic_config& from, telemetry::registry& metrics,
                             const std::string& name)
  : config(from), policy(policy_of(from)), meters(metrics, name) {
  if (config.embedder == "lexical")
    return;
  const auto slash = config.embedder.find('/');
  provider = config.embedder.substr(0, slash);
  model = config.embedder.substr(slash + 1);
}

semantic_cache::semantic_cache(caf::actor_config& config, rt::environment& env,
                               const rt::actor_kind& kind, const policies& from, std::uint64_t seed)
  : bounded_actor(config, env, kind), random_(seed) {
  for (const auto& [name, options] : from)
    routes_.emplace(name, std::make_unique<route>(options, env.metrics(), name));
}

caf::behavior semantic_cache::make_behavior() {
  after(sweep_every, [this] { sweep(); });
  return {
    [this](const rt::call& c, const msg::semantic_find_request& request) { find(c, request); },
    [this](const rt::call&, const msg::semantic_learn_request& request) { learn(request); },
    [this](const rt::call& c, const msg::semantic_revoke_request& request) { revoke(c, request); },
  };
}

void semantic_cache::sweep() {
  for (auto& [name, on] : routes_) {
    on->policy.expire(now());
    on->meters.show(on->policy);
  }
  after(sweep_every, [this] { sweep(); });
}

/// The policy, when there is one of that name and the text may take part in it.
semantic_cache::route* semantic_cache::route_of(const std::string& policy,
                                                const std::string& text) {
  const auto found = routes_.find(policy);
  if (found == routes_.end() || text.empty())
    return nullptr;
  if (text.size() <= found->second->config.text_max)
    return found->second.get();
  found->second->meters.refused.inc();
  return nullptr;
}

// -- the three requests ---------------------------------------------------------------------------

void semantic_cache::find(const rt::call& c, const msg::semantic_find_request& request) {
  auto* on = route_of(request.policy, request.text);
  if (on == nullptr)
    return reply(c, msg::semantic_find_reply{});
  on->meters.finds.inc();
  // Shared, because a handler has to be copyable.
  auto out = std::make_shared<rt::responder>(take(c));
  with_vector(*on, request.text, [this, on, request, out](const store::byte_vector& vector) {
    msg::semantic_find_reply found;
    const auto best
      = on->policy.find(key_of(request.partition), vector, store::guard_signature{request.text},
                        random_.uniform(), now());
    if (best) {
      found = {true, best->serve, key_of(best->key), best->similarity};
      on->meters.candidates.inc();
      on->meters.served.add(best->serve ? 1 : 0);
    }
    on->meters.show(on->policy);
    out->reply(found);
  });
}

void semantic_cache::learn(const msg::semantic_learn_request& request) {
  auto* on = route_of(request.policy, request.text);
  if (on == nullptr)
    return;
  compare(*on, request);
  with_vector(*on, request.text, [this, on, request](const store::byte_vector& vector) {
    if (!vector.empty())
      on->policy.learn(key_of(request.partition), key_of(request.key), vector,
                       store::guard_signature{request.text}, now());
    on->meters.show(on->policy);
  });
}

void semantic_cache::compare(route& on, const msg::semantic_learn_request& request) {
  const bool texts = !request.answer.empty() && !request.candidate_answer.empty();
  if (request.compared == 0 && !texts)
    return;
  const bool right = request.compared == 0
                       ? store::same_answer(request.answer, request.candidate_answer)
                       : request.compared == 1;
  (right ? on.meters.right : on.meters.wrong).inc();
  on.policy.compared(key_of(request.candidate), request.similarity, right);
}

void semantic_cache::revoke(const rt::call& c, const msg::semantic_revoke_request& request) {
  for (auto& [name, on] : routes_) {
    on->policy.revoke(key_of(request.key));
    on->meters.show(on->policy);
  }
  reply(c, msg::ack{});
}

// -- vectors --------------------------------------------------------------------------------------

void semantic_cache::with_vector(route& on, const std::string& text, on_vector then) {
  if (on.provider.empty()) {
    then(store::to_bytes(store::lexical_embedder::embed(text)));
    return;
  }
  const auto known = std::find_if(on.recent.begin(), on.recent.end(),
                                  [&](const known_vector& each) { return each.text == text; });
  if (known != on.recent.end()) {
    then(known->vector);
    return;
  }
  if (on.waiting.size() + on.asked >= on.config.lookups_max) {
    on.meters.refused.inc();
    then({});
    return;
  }
  on.waiting.push_back({text, std::move(then)});
  if (on.waiting.size() >= on.config.batch_max || on.config.batch_wait.count() == 0)
    flush(on);
  else if (on.timer == 0)
    on.timer = after(on.config.batch_wait, [this, &on] {
      on.timer = 0;
      flush(on);
    });
}

void semantic_cache::flush(route& on) {
  cancel_timer(std::exchange(on.timer, 0));
  auto batch = std::make_shared<std::vector<waiting_text>>(std::exchange(on.waiting, {}));
  if (batch->empty())
    return;
  msg::embed_request request;
  request.model = on.model;
  for (const auto& each : *batch)
    request.texts.push_back(each.text);
  on.asked += batch->size();
  // Texts of other policies and of clients share the embedder's calls, where there is one.
  auto provider = env().find("embed/" + on.provider);
  if (!provider)
    provider = env().find("provider/" + on.provider);
  if (!provider) {
    vectors_came(on, *batch, {});
    return;
  }
  skep::context context;
  context.id = make_request_id();
  context.deadline = now() + on.config.embed_timeout;
  ask(provider, std::move(context), std::move(request),
      [this, &on, batch](const rt::answer& got) { vectors_came(on, *batch, got); });
}

void semantic_cache::vectors_came(route& on, std::vector<waiting_text>& batch,
                                  const rt::answer& got) {
  on.asked -= batch.size();
  const auto* reply = got.get<msg::embed_reply>();
  const bool usable = reply != nullptr && reply->embeddings.size() == batch.size();
  for (std::size_t n = 0; n < batch.size(); ++n) {
    store::byte_vector vector;
    if (usable)
      vector = store::to_bytes(floats_of_bytes(reply->embeddings[n].values));
    if (vector.empty())
      on.meters.embed_failures.inc();
    else
      on.recent.push_back({batch[n].text, vector});
    if (on.recent.size() > recent_max)
      on.recent.pop_front();
    batch[n].then(vector);
  }
}

} // namespace skep::actors
