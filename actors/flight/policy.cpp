#include "actors/flight/policy.hpp"

#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace skep::actors {

namespace {

// HTTP's words for a request that is right, but not for this server, or not now.
constexpr std::uint32_t not_implemented = 501;
constexpr std::uint32_t conflict = 409;

/// The words for an end of the model's own in use: OpenAI's, Together's, TGI's, Anthropic's.
bool is_natural(std::string_view finish_reason) {
  constexpr std::array natural{"stop", "eos", "eos_token", "end_turn", "stop_sequence"};
  return std::find(natural.begin(), natural.end(), finish_reason) != natural.end();
}

bool is_one_of(std::string_view text, std::string_view json) {
  const auto many = json::elements_of(json).value_or(std::vector<std::string_view>{json});
  return std::any_of(many.begin(), many.end(),
                     [&](std::string_view each) { return json::string_of(each) == text; });
}

/// A stop_reason beside finish_reason says what that cannot, such as pause_turn; vLLM's is the stop
/// sequence that was hit.
bool ended_by_itself(const msg::chat_choice& choice, std::string_view parameters) {
  if (!is_natural(choice.finish_reason))
    return false;
  if (choice.rest.empty())
    return true;
  const auto said = json::object{choice.rest}.text("stop_reason");
  return said.empty() || is_natural(said) || is_one_of(said, json::object{parameters}.at("stop"));
}

/// The older form of a tool call; some servers write it with nothing in it.
bool calls_function(const json::object& message) {
  return !json::object{message.at("function_call")}.text("name").empty();
}

/// Text, also as one of several parts, and neither a tool call nor a refusal. Without a word it is
/// an accident rather than an answer, which the next call may mend.
bool is_text(const msg::chat_choice& choice) {
  if (!choice.tool_calls.empty())
    return false;
  if (choice.message_rest.empty())
    return !is_blank(choice.content);
  const json::object message{choice.message_rest};
  const auto parts
    = json::elements_of(message.at("content")).value_or(std::vector<std::string_view>{});
  const bool text_part = std::any_of(parts.begin(), parts.end(), [](std::string_view each) {
    return !is_blank(json::object{each}.text("text"));
  });
  return (!is_blank(choice.content) || text_part) && message.text("refusal").empty()
         && !calls_function(message);
}

} // namespace

bool may_store(const msg::chat_reply& reply, std::string_view parameters) {
  return !reply.choices.empty()
         && std::all_of(reply.choices.begin(), reply.choices.end(), [&](const auto& choice) {
              return is_text(choice) && ended_by_itself(choice, parameters);
            });
}

bool another_may_answer(const failure& why) {
  if (why.status == not_implemented)
    return true;
  switch (why.code) {
    case errc::overloaded:
    case errc::circuit_open:
    case errc::unavailable:
    case errc::deadline_exceeded:
    case errc::actor_failed:
    case errc::node_down:
    case errc::transport_failed:
    case errc::provider_failed:
    case errc::provider_overloaded:
    case errc::rate_limited:
    case errc::quota_exhausted:
    case errc::provider_auth_failed:
    case errc::context_overflow:
    case errc::stream_cut:
    case errc::malformed:
    case errc::not_found: return true;
    case errc::none:
    case errc::cancelled:
    case errc::cache_miss:
    case errc::bad_request:
    case errc::unauthenticated:
    case errc::forbidden:
    case errc::too_large:
    case errc::unexpected_message:
    case errc::content_filtered:
    case errc::bad_config:
    case errc::shutting_down: return false;
  }
  return false;
}

bool is_unreadable(const failure& why) {
  return why.code == errc::bad_request && why.status == not_implemented && why.tries == 0;
}

bool is_deterministic(const failure& why) {
  if (why.status == conflict)
    return false;
  return why.code == errc::bad_request || why.code == errc::context_overflow
         || why.code == errc::too_large || why.code == errc::content_filtered;
}

bool leader_is_gone(const failure& why) {
  return why.code == errc::not_found || why.code == errc::node_down
         || why.code == errc::transport_failed || why.code == errc::actor_failed
         || why.code == errc::shutting_down;
}

std::uint64_t cost_of(const msg::token_usage& usage) {
  return std::max<std::uint64_t>(1, usage.prompt + 4 * usage.completion);
}

const std::string& text_of(const msg::chat_reply& reply) {
  static const std::string nothing;
  return reply.choices.empty() ? nothing : reply.choices.front().content;
}

} // namespace skep::actors
