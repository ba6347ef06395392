#pragma once

// tidy: allow size, every way in one place

#include "actors/agent/complexity.hpp"
#include "actors/gateway/prompt_format.hpp"
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/server_request.hpp"
#include "apis/chat/answer.hpp"
#include "apis/chat/context_cache.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/completions_format.hpp"
#include "apis/openai/completions_json.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "apis/openai/extensions.hpp"
#include "apis/openai/native_response.hpp"
#include "apis/openai/responses_format.hpp"
#include "apis/openai/responses_json.hpp"
#include "runtime/net/sse_parser.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Every way that JSON from outside takes through skep, from its bytes to the bytes that go out, in
// one call each: what is done to it on the thread of one actor.
namespace skep::testing {

/// What an agent and a connector do with a request.
inline void send_on(const msg::chat_request& request) {
  using namespace actors;
  context_cache contexts;
  contexts.assemble({R"({"temperature":0,"max_tokens":7})", request.parameters}, time_point{});
  for (const auto& message : request.messages) {
    contexts.identity_of(message.rest, time_point{});
    for (const auto& call : message.tool_calls)
      contexts.identity_of(call.extra, time_point{});
  }
  complexity_of(request.messages, request.parameters);
  write_chat_request(without_extensions(request));
  in_openai_words(request.parameters);
  write_messages_request(request, {});
}

inline std::vector<std::unique_ptr<actors::answer_format>> answer_formats() {
  using namespace actors;
  std::vector<std::unique_ptr<answer_format>> made;
  made.push_back(chat_format(true));
  made.push_back(messages_format({"req", true, {"END"}}));
  made.push_back(completions_format({{"prompt"}, 1, true}));
  made.push_back(responses_format({"resp_1", 1, "m", "{}"}));
  made.push_back(prompt_format({"a", "req", [] { return 0; }}));
  return made;
}

/// What a gateway does with a whole answer, asked for whole or as a stream.
inline void answer_with(const msg::chat_reply& reply) {
  for (const auto& format : answer_formats()) {
    format->whole(reply);
    actors::answer_player player{reply};
    format->open(player.open());
    while (const auto piece = player.next())
      format->chunk(*piece);
    format->end(reply.usage);
  }
}

/// What a gateway does with a stream; `read` makes of each event's data what a connector makes.
template <class Read>
void stream_through(std::string_view bytes, const Read& read) {
  using namespace actors;
  const auto formats = answer_formats();
  answer_builder whole{std::size_t{1} << 20};
  bool opened = false;
  net::sse_parser events{std::size_t{16} << 20};
  events.push(bytes, [&](const auto& event) {
    const auto got = read(event.data);
    if (!got)
      return;
    for (const auto& format : formats) {
      if (!opened)
        format->open(got->open);
      for (const auto& piece : got->chunks)
        format->chunk(piece);
    }
    opened = true;
    for (const auto& piece : got->chunks)
      whole.add(piece);
  });
  for (std::size_t n = 0; opened && n < formats.size(); ++n)
    formats[n]->end({});
}

using json_way = void (*)(std::string_view);

inline void through_chat_body(std::string_view text) {
  if (const auto body = actors::read_chat_body(text))
    send_on(body->request);
}
inline void through_messages_body(std::string_view text) {
  if (const auto body = actors::read_messages_body(text))
    send_on(body->request);
}
inline void through_completions_body(std::string_view text) {
  if (const auto body = actors::read_completions_body(text))
    send_on(actors::completion_chat(*body, 0));
}
inline void through_prompt_body(std::string_view text) {
  if (const auto body = actors::read_prompt_body(text))
    send_on(body->request);
}
inline void through_response_body(std::string_view text) {
  using namespace actors;
  const auto order = read_response_body(text);
  if (!order)
    return;
  for (const auto& item : order->input)
    shown_item(item, "msg_1");
  msg::chat_request request;
  request.parameters = order->parameters;
  if (auto talk = conversation_of(order->input, order->instructions))
    request.messages = std::move(*talk);
  send_on(request);
}
inline void through_embeddings_body(std::string_view text) {
  if (const auto body = actors::read_embeddings_body(text))
    actors::write_embeddings_request(body->request);
}
inline void through_chat_reply(std::string_view text) {
  if (const auto reply = actors::read_chat_reply(text))
    answer_with(*reply);
}
inline void through_messages_reply(std::string_view text) {
  if (const auto reply = actors::read_messages_reply(text))
    answer_with(*reply);
}
inline void through_response(std::string_view text) {
  auto reply = actors::read_response(text);
  if (!reply)
    return;
  reply->native = {static_cast<std::uint8_t>(msg::native_api::responses), std::string{text}};
  answer_with(*reply);
}
inline void through_embeddings_reply(std::string_view text) {
  if (const auto reply = actors::read_embeddings_reply(text))
    actors::write_embeddings_reply(*reply, true);
}
inline void through_models_and_errors(std::string_view text) {
  actors::read_models(text);
  actors::read_error(text);
}
inline void through_chat_stream(std::string_view bytes) {
  actors::chunk_reader reader;
  stream_through(bytes, [&](std::string_view data) { return reader.read(data); });
}
inline void through_messages_stream(std::string_view bytes) {
  actors::anthropic_stream reader;
  stream_through(bytes, [&](std::string_view data) { return reader.read(data); });
}

inline void through_response_stream(std::string_view bytes) {
  actors::response_reader reader;
  stream_through(bytes, [&](std::string_view data) {
    auto event = reader.read(data);
    if (event)
      event->chunks.emplace_back().native
        = {static_cast<std::uint8_t>(msg::native_api::responses), actors::native_frame({}, data)};
    return event;
  });
}

} // namespace skep::testing
