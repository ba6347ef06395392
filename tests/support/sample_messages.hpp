#pragma once

// One value of every message: what golden bytes, round trips and the mutation tests are made from.
// A new message gets a made sample; one that needs particular values gets a written one here.
#include "messages/envelope.hpp"
#include "messages/families.hpp"
#include "tests/support/made_sample.hpp"

#include <concepts>
#include <tuple>

namespace skep::test {

inline msg::answer_origin sample_origin() {
  return {
    "openai", 2, 1, 3600, "0123456789abcdeffedcba9876543210", 971, {{"x-ratelimit-limit", "7"}}};
}

inline auto written_samples() {
  const auto origin = sample_origin();
  const msg::token_usage usage{10, 20, 3, true, R"({"a":1})"};
  const msg::tool_call call{1, "c1", "function", "add", R"({"a":2})", R"({"cache_control":{}})"};
  const msg::chat_message asked{"user", "2+2?", R"({"name":"ann"})", {call}};
  const msg::chat_choice choice{
    1, "assistant", "four", true, "stop", R"({"refusal":null})", R"({"logprobs":null})", {call},
  };
  const msg::native_text whole{2, R"({"id":"msg_1"})"};
  const msg::native_text events{2, "event: ping\ndata: {}\n\n"};
  const msg::native_request sent{2, R"({"model":"m"})", {{"anthropic-beta", "b"}}, "a", "n", 1};
  const msg::member node{"a", 11, "tcp://node-a", 2, true};
  return std::tuple{
    msg::failure_reply{1, "full", 250, "openai", 503, 2, "messages", "overloaded", "busy", 2,
                       R"({"error":{}})"},
    msg::ack{},
    msg::chat_request{"support", {asked}, R"({"temperature":0.5})", true, 1, 60, {sent}},
    msg::chat_reply{
      "chatcmpl-1", 1'700'000'000, "gpt", {choice}, usage, R"({"x":1})", origin, whole},
    msg::chat_open{"chatcmpl-1", -1, "gpt", R"({"x":1})", origin, events},
    msg::chat_chunk{
      1, "fo\xc3\xbcr", R"({"tool_calls":[]})", "stop", R"({"logprobs":null})", {call}, events},
    msg::chat_end{usage, origin},
    msg::cache_get_request{{0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210}, 5, 30'000, "a", 6, 7},
    msg::cache_get_reply{std::string("\0\xff", 2), 7, 9, 1, false, true, 2, 11, "b"},
    msg::cache_put_request{{1, 2}, "value", 1000, 12, 13, 1, 14},
    msg::cache_release_request{{1, 2}, 3},
    msg::cache_clear_request{true, {3, 4}, 5},
    msg::models_request{},
    msg::models_reply{{{"gpt", 1'700'000'000, "openai", R"({"max_model_len":8})"}}},
    msg::cache_fill_request{12, {{{5, 6}, "value", 100, 900, 7, 1, 8}}},
    msg::node_hello{
      "hive", "a", "tcp://node-a", 11, 2, 0x0102'0304'0506'0708, 13, 14, 15, {{0x0101, 1}}},
    msg::node_refusal{"b", 4, "a live node is called a", 11},
    msg::link_beat{1'000'000, 2'000'000, 3000, "state"},
    msg::member_state{node, {"b", "c"}, {3, "a", {node}}, {4, "b", {node}}, true},
    msg::node_announce{{"agent/support"}},
    msg::node_drain_request{},
    msg::embed_request{"embedder", {"a text"}, "[[1,2]]", R"({"dimensions":2})"},
    msg::embed_reply{"embedder", {{std::string("\0\0\x80?", 4)}}, 3},
    msg::flight_request{"support",
                        {{"openai", "gpt"}},
                        {asked},
                        "gpt",
                        R"({"temperature":0.5})",
                        true,
                        5000,
                        true,
                        {1, 2},
                        1,
                        60,
                        1000,
                        65'536,
                        3,
                        {"faq", {4, 5}, "2+2?"},
                        {sent}},
    msg::flight_join_request{{1, 2}, 3},
    msg::semantic_find_request{"faq", {1, 2}, "2+2?"},
    msg::semantic_find_reply{true, true, {3, 4}, 971},
    msg::semantic_learn_request{"faq", {1, 2}, "2+2?", {3, 4}, 2, {5, 6}, 971, "four", "five"},
    msg::semantic_revoke_request{{3, 4}},
    msg::store_put_request{{"acme", "response", "r1"}, "value", 1000, true, 2, 3, true},
    msg::store_put_reply{true, 4},
    msg::store_get_request{{"acme", "response", "r1"}},
    msg::store_get_reply{true, std::string("\0\xff", 2), 4, 900},
    msg::store_erase_request{{"acme", "response", "r1"}, true, 4, 5},
    msg::store_scan_request{"acme", "response", "r0", 10, 65'536},
    msg::store_scan_reply{{{"r1", "value", 4, 900}}, true},
  };
}

template <class T, class... Written>
T sample_of(const std::tuple<Written...>& written) {
  if constexpr ((std::same_as<T, Written> || ...))
    return std::get<T>(written);
  else
    return sample_maker{}.make<T>();
}

template <class... Ts>
std::tuple<Ts...> samples_of(type_list<Ts...>) {
  const auto written = written_samples();
  return {sample_of<Ts>(written)...};
}

/// A tuple with a sample of every message, in the order of all_messages.
inline auto sample_messages() {
  return samples_of(all_messages{});
}

/// An envelope with every field set; the deadline is two seconds after `now`.
inline envelope sample_envelope(envelope_kind kind, std::chrono::steady_clock::time_point now) {
  envelope head;
  head.kind = kind;
  head.source = {incarnation{7}, actor_number{8}};
  head.target = {incarnation{9}, actor_number{0}};
  head.target_name = "cache/3";
  head.correlation = 42;
  head.tag = 0x0101;
  head.credit = 65'536;
  for (std::uint8_t n = 0; n < 16; ++n) {
    head.context.id.bytes[n] = n;
    head.context.trace.trace[n] = static_cast<std::uint8_t>(0xf0 + n % 16);
  }
  head.context.trace.span = {1, 2, 3, 4, 5, 6, 7, 8};
  head.context.trace.flags = 1;
  head.context.deadline = now + std::chrono::seconds{2};
  head.context.priority = priority::interactive;
  head.context.flags = flag_replayable;
  head.context.tenant = "acme";
  head.context.session = "s-1";
  return head;
}

} // namespace skep::test
