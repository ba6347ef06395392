#include "actors/flight/policy.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

// HTTP's words for a request that is right, but not for this server, or not now.
constexpr std::uint32_t not_implemented = 501;
constexpr std::uint32_t conflict = 409;

} // namespace

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
