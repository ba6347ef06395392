#include "actors/agent/prompt.hpp"

#include "actors/common/cache_group.hpp"

#include <xxhash.h>

#include <cstring>
#include <memory>

namespace skep::actors {

namespace {

/// Feeds length and bytes, so that no two different lists of fields look alike.
class key_hasher {
public:
  key_hasher() : state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_128bits_reset(state_.get());
  }
  key_hasher(const key_hasher& other) : state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_copyState(state_.get(), other.state_.get());
  }
  key_hasher& operator=(const key_hasher&) = delete;
  void add(std::string_view field) {
    const std::uint64_t size = field.size();
    XXH3_128bits_update(state_.get(), &size, sizeof(size));
    XXH3_128bits_update(state_.get(), field.data(), field.size());
  }
  void add(const msg::cache_key& part) {
    XXH3_128bits_update(state_.get(), &part.high, sizeof(part.high));
    XXH3_128bits_update(state_.get(), &part.low, sizeof(part.low));
  }
  msg::cache_key done() const {
    const auto hash = XXH3_128bits_digest(state_.get());
    return {hash.high64, hash.low64};
  }

private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

/// Makes the two keys of a request; what is the same for both is hashed once.
class request_keys {
public:
  request_keys(const std::string& tenant, const msg::flight_request& wanted,
               const msg::flight_route& first, const msg::cache_key& parameters,
               context_cache& contexts, time_point now)
    : wanted_(wanted), contexts_(contexts), now_(now) {
    key_.add(tenant);
    key_.add(wanted.agent);
    key_.add(first.provider);
    key_.add(first.model.empty() ? wanted.model : first.model);
    key_.add(parameters);
    for (std::size_t n = 0; n + 1 < wanted.messages.size(); ++n)
      add(wanted.messages[n]);
  }

  /// Of the whole request.
  msg::cache_key whole() {
    auto key = key_;
    if (!wanted_.messages.empty())
      add(key, wanted_.messages.back());
    return key.done();
  }
  /// Of all but the last message's text.
  msg::cache_key partition() {
    auto key = key_;
    key.add(wanted_.messages.back().role);
    key.add(contexts_.identity_of(wanted_.messages.back().rest, now_));
    return key.done();
  }

private:
  void add(const msg::chat_message& message) {
    add(key_, message);
  }
  void add(key_hasher& key, const msg::chat_message& message) {
    key.add(message.role);
    key.add(message.content);
    key.add(contexts_.identity_of(message.rest, now_));
  }

  const msg::flight_request& wanted_;
  context_cache& contexts_;
  const time_point now_;
  key_hasher key_;
};

} // namespace

msg::flight_request flight_for(const agent_definition& agent, const msg::chat_request& request,
                               const context& caller, context_cache& contexts, time_point now,
                               flow::rng& random) {
  msg::flight_request wanted;
  wanted.agent = agent.name;
  wanted.model = request.model;
  wanted.messages.reserve(request.messages.size() + 1);
  if (!agent.instructions.empty())
    wanted.messages.push_back({"system", agent.instructions, {}});
  wanted.messages.insert(wanted.messages.end(), request.messages.begin(), request.messages.end());
  const auto& assembled = contexts.assemble({agent.parameters, request.parameters}, now);
  wanted.parameters = assembled.parameters;
  const auto parameters = assembled.identity; // The reference ends with the next call.
  auto choice = choose_routes(
    agent.plan,
    {wanted.messages, wanted.parameters, tier_of(request.model, agent.name), caller.session},
    random);
  wanted.routes = std::move(choice.routes);
  wanted.stream = request.stream;
  if (agent.deadline > duration::zero())
    wanted.deadline_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(agent.deadline).count());
  wanted.cache = request.cache;
  wanted.cached = agent.cache && !wanted.routes.empty();
  if (!wanted.cached || static_cast<msg::cache_mode>(request.cache) == msg::cache_mode::off) {
    // No key: only spread over the flights.
    std::memcpy(&wanted.key.low, caller.id.bytes.data() + 8, sizeof(wanted.key.low));
    return wanted;
  }
  request_keys keys{caller.tenant, wanted, choice.first_of_key, parameters, contexts, now};
  wanted.key = keys.whole();
  wanted.cache_max_age_s = request.cache_max_age_s;
  wanted.ttl_ms = static_cast<std::uint32_t>(agent.cache_ttl.count());
  wanted.value_max = agent.cache_value_max;
  wanted.group = group_of(agent.name);
  // A conversation that ends with a plain text of the user may be answered like one that means the
  // same.
  const auto* last = wanted.messages.empty() ? nullptr : &wanted.messages.back();
  if (!agent.semantic.empty() && last != nullptr && last->role == "user" && !last->content.empty())
    wanted.semantic = {agent.semantic, keys.partition(), last->content};
  return wanted;
}

} // namespace skep::actors
