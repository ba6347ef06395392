#include "actors/agent/prompt.hpp"

#include "apis/chat/cache_group.hpp"
#include "apis/chat/native.hpp"
#include "runtime/json/members.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace skep::actors {

namespace {

/// Makes the two keys of a request; what is the same for both is hashed once.
class request_keys {
public:
  request_keys(const std::string& tenant, const msg::flight_request& wanted,
               const msg::flight_route& first, const msg::cache_key& parameters,
               context_cache& contexts, time_point now)
    : wanted_(wanted), contexts_(contexts), now_(now), key_(contexts.secret()) {
    key_.add("request");
    key_.add(tenant);
    key_.add(wanted.agent);
    key_.add(first.provider);
    key_.add(first.model.empty() ? wanted.model : first.model);
    key_.add(parameters);
    add_native();
    for (std::size_t n = 0; n + 1 < wanted.messages.size(); ++n)
      add(wanted.messages[n]);
  }

  /// Of the whole request.
  msg::cache_key whole() {
    auto key = key_;
    if (!wanted_.messages.empty())
      add(key, wanted_.messages.back());
    // The typed reading may lack what the conversation says besides (cache_control, citations).
    if (const auto* given = own_words())
      key.add(contexts_.identity_of(json::object{given->body}.at(conversation_in(*given)), now_));
    return key.done();
  }
  /// Of all but the last message's text.
  msg::cache_key partition() {
    auto key = key_;
    key.add("partition");
    key.add(wanted_.messages.back().role);
    add_members(key, wanted_.messages.back());
    if (const auto* given = own_words())
      key.add(all_but_the_text(json::object{given->body}.at(conversation_in(*given))));
    return key.done();
  }

private:
  /// What only the client's own words say. Chat completions lose nothing by being read.
  /// Headers alone, when an agent changed the conversation.
  const msg::native_request* own_words() const {
    const bool more = speaks(wanted_.native, msg::native_api::messages)
                      || speaks(wanted_.native, msg::native_api::responses);
    const auto* given = more ? &wanted_.native.front() : nullptr;
    return given == nullptr || (given->body.empty() && given->headers.empty()) ? nullptr : given;
  }
  /// A conversation in a client's own words, without the text of its last turn; one that is nothing
  /// but a text is empty.
  std::string all_but_the_text(std::string_view conversation) {
    auto turns = json::elements_of(conversation).value_or(std::vector<std::string_view>{});
    if (turns.empty())
      return {};
    const json::object last{turns.back()};
    turns.pop_back();
    std::string all;
    for (const auto each : turns)
      all.append(each).append(1, '\n');
    for (const auto& member : last.members())
      if (member.name != "content")
        all.append(member.name).append(member.value);
    for (const auto part :
         json::elements_of(last.at("content")).value_or(std::vector<std::string_view>{}))
      all += json::object_without(part, {"text"});
    return all;
  }
  /// The member that has the conversation.
  static const char* conversation_in(const msg::native_request& given) {
    const bool messages = given.api == static_cast<std::uint8_t>(msg::native_api::messages);
    return messages ? "messages" : "input";
  }
  void add_native() {
    const auto* given = own_words();
    if (given == nullptr)
      return;
    key_.add(conversation_in(*given));
    for (const auto& header : given->headers) {
      key_.add(header.name);
      key_.add(header.value);
    }
    auto members = json::members_of(given->body).value_or(std::vector<json::member>{});
    // A response repeats whatever its request said.
    const bool repeats = speaks(wanted_.native, msg::native_api::responses);
    std::erase_if(members, [&](const json::member& each) {
      return (!repeats && !is_relevant(each.name)) || each.name == "model" || each.name == "stream"
             || each.name == conversation_in(*given);
    });
    std::sort(members.begin(), members.end(),
              [](const json::member& a, const json::member& b) { return a.name < b.name; });
    for (const auto& each : members) {
      key_.add(each.name);
      key_.add(contexts_.identity_of(each.value, now_));
    }
  }
  void add(const msg::chat_message& message) {
    add(key_, message);
  }
  void add(identity_hasher& key, const msg::chat_message& message) {
    key.add(message.role);
    key.add(message.content);
    add_members(key, message);
  }
  /// Everything but role and text.
  void add_members(identity_hasher& key, const msg::chat_message& message) {
    key.add(contexts_.identity_of(message.rest, now_));
    // With their number no call can be taken for a message, nor the other way round.
    key.add(std::to_string(message.tool_calls.size()));
    for (const auto& call : message.tool_calls) {
      for (const auto* field : {&call.id, &call.type, &call.name, &call.arguments})
        key.add(*field);
      key.add(contexts_.identity_of(call.extra, now_));
    }
  }

  const msg::flight_request& wanted_;
  context_cache& contexts_;
  const time_point now_;
  identity_hasher key_;
};

/// What a provider is asked: the agent's instructions before the caller's messages, which stay the
/// caller's own list where there are none.
shared_list<msg::chat_message> conversation_of(const agent_definition& agent,
                                               const shared_list<msg::chat_message>& messages) {
  if (agent.instructions.empty())
    return messages;
  std::vector<msg::chat_message> all;
  all.reserve(messages.size() + 1);
  all.push_back({"system", agent.instructions, {}});
  all.insert(all.end(), messages.begin(), messages.end());
  return all;
}

/// What the client wrote goes on as long as the agent adds nothing to it; then only what its
/// headers say, and of what cannot be read the reason, so that no part of a request is answered for
/// all of it.
shared_list<msg::native_request> passed_on(const agent_definition& agent,
                                           const shared_list<msg::native_request>& native) {
  if (native.empty() || (agent.instructions.empty() && agent.parameters.empty()))
    return native;
  auto headers = native.front();
  headers.body.clear();
  headers.provider.clear();
  return {std::move(headers)};
}

/// Ids in the request's own words are known to one provider, which is asked first.
void prefer_own(std::vector<msg::flight_route>& routes,
                const shared_list<msg::native_request>& native) {
  if (native.empty() || native.front().provider.empty())
    return;
  std::stable_partition(routes.begin(), routes.end(), [&](const msg::flight_route& each) {
    return each.provider == native.front().provider;
  });
}

} // namespace

msg::flight_request flight_for(const agent_definition& agent, const msg::chat_request& request,
                               const context& caller, context_cache& contexts, time_point now,
                               flow::rng& random) {
  msg::flight_request wanted;
  wanted.agent = agent.name;
  wanted.model = request.model;
  wanted.messages = conversation_of(agent, request.messages);
  wanted.native = passed_on(agent, request.native);
  const auto& assembled = contexts.assemble({agent.parameters, request.parameters}, now);
  wanted.parameters = assembled.parameters;
  const auto parameters = assembled.identity; // The reference ends with the next call.
  const bool shares = agent.cache == cache_scope::all
                      || (agent.cache == cache_scope::deterministic && assembled.deterministic);
  auto choice = choose_routes(
    agent.plan,
    {wanted.messages, wanted.parameters, tier_of(request.model, agent.name), caller.session},
    random);
  wanted.routes = std::move(choice.routes);
  prefer_own(wanted.routes, wanted.native);
  wanted.stream = request.stream;
  if (agent.deadline > duration::zero())
    wanted.deadline_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(agent.deadline).count());
  wanted.cache = request.cache;
  const bool readable = wanted.native.empty() || wanted.native.front().untyped.empty();
  wanted.cached = shares && readable && !wanted.routes.empty();
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
