#include "actors/agent/prompt.hpp"

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include <algorithm>
#include <memory>

namespace skep::actors {

namespace {

using nlohmann::json;

// Members that do not change what a model answers.
constexpr const char* irrelevant_parameters[]
  = {"user",           "metadata",          "store",           "service_tier",
     "stream_options", "safety_identifier", "prompt_cache_key"};

json parse_object(const std::string& text) {
  auto parsed = json::parse(text, nullptr, false);
  return parsed.is_object() ? parsed : json::object();
}

std::string merged(const std::string& defaults, const std::string& own) {
  if (defaults.empty())
    return own;
  if (own.empty())
    return defaults;
  auto both = parse_object(defaults);
  both.update(parse_object(own));
  return both.dump();
}

/// Feeds length and bytes, so that no two different lists of fields look alike.
class key_hasher {
public:
  key_hasher() : state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_128bits_reset(state_.get());
  }
  void add(std::string_view field) {
    const std::uint64_t size = field.size();
    XXH3_128bits_update(state_.get(), &size, sizeof(size));
    XXH3_128bits_update(state_.get(), field.data(), field.size());
  }
  msg::cache_key done() const {
    const auto hash = XXH3_128bits_digest(state_.get());
    return {hash.high64, hash.low64};
  }

private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

std::string relevant(const std::string& parameters) {
  if (parameters.empty())
    return {};
  auto object = parse_object(parameters);
  for (const auto* name : irrelevant_parameters)
    object.erase(name);
  return object.empty() ? std::string{} : object.dump();
}

std::string canonical(const std::string& object) {
  return object.empty() ? std::string{} : parse_object(object).dump();
}

} // namespace

msg::chat_request prompt_for(const agent_definition& agent, const agent_route& route,
                             const msg::chat_request& request) {
  msg::chat_request prompt = request;
  if (!route.model.empty())
    prompt.model = route.model;
  if (!agent.instructions.empty())
    prompt.messages.insert(prompt.messages.begin(), {"system", agent.instructions, {}});
  prompt.parameters = merged(agent.parameters, request.parameters);
  return prompt;
}

msg::cache_key cache_key_of(std::string_view tenant, const std::string& agent,
                            const agent_route& route, const msg::chat_request& prompt) {
  key_hasher key;
  key.add(tenant);
  key.add(agent);
  key.add(route.provider);
  key.add(prompt.model);
  key.add(relevant(prompt.parameters));
  for (const auto& message : prompt.messages) {
    key.add(message.role);
    key.add(message.content);
    key.add(canonical(message.rest));
  }
  return key.done();
}

bool may_store(const msg::chat_reply& reply) {
  const auto storable = [](const msg::chat_choice& choice) {
    return choice.finish_reason == "stop" && !choice.content_null
           && choice.message_rest.find("\"tool_calls\"") == std::string::npos
           && choice.message_rest.find("\"function_call\"") == std::string::npos;
  };
  return !reply.choices.empty()
         && std::all_of(reply.choices.begin(), reply.choices.end(), storable);
}

bool another_may_answer(const failure& why) {
  switch (why.code) {
    case errc::overloaded:
    case errc::circuit_open:
    case errc::unavailable:
    case errc::deadline_exceeded:
    case errc::actor_failed:
    case errc::node_down:
    case errc::transport_failed:
    case errc::provider_failed:
    case errc::rate_limited:
    case errc::quota_exhausted:
    case errc::provider_auth_failed:
    case errc::context_overflow:
    case errc::stream_cut:
    case errc::not_found: return true;
    case errc::none:
    case errc::cancelled:
    case errc::cache_miss:
    case errc::bad_request:
    case errc::unauthenticated:
    case errc::forbidden:
    case errc::malformed:
    case errc::too_large:
    case errc::unexpected_message:
    case errc::content_filtered:
    case errc::bad_config:
    case errc::shutting_down: return false;
  }
  return false;
}

} // namespace skep::actors
