// The older and the other chat API of the door: what a client sends becomes a request of ours and a
// provider's, or is refused; what a provider answers is written as JSON, whole and in frames.
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/native_message.hpp"
#include "apis/anthropic/server_request.hpp"
#include "apis/chat/answer.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/completions_format.hpp"
#include "apis/openai/completions_json.hpp"
#include "apis/openai/native_chat.hpp"
#include "apis/openai/native_response.hpp"
#include "apis/openai/responses_format.hpp"
#include "runtime/json/members.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace skep;
using namespace skep::actors;

namespace {

void require_json(std::string_view text) {
  if (!nlohmann::json::accept(text.begin(), text.end()))
    std::abort();
}

/// Every frame is an event whose data is one line of JSON, or [DONE].
void require_frames(std::string_view frames) {
  constexpr std::string_view mark = "data: ";
  while (!frames.empty()) {
    const auto end = frames.find("\n\n");
    const auto at = frames.find(mark);
    if (end == std::string_view::npos || at > end)
      std::abort();
    const auto data = frames.substr(at + mark.size(), end - at - mark.size());
    if (data.find_first_of("\r\n") != std::string_view::npos)
      std::abort();
    if (data != "[DONE]")
      require_json(data);
    frames.remove_prefix(end + 2);
  }
}

std::vector<std::unique_ptr<answer_format>> formats() {
  std::vector<std::unique_ptr<answer_format>> made;
  made.push_back(chat_format(true));
  made.push_back(messages_format({"req", true, {"END"}}));
  made.push_back(completions_format({{"prompt"}, 1, true}));
  made.push_back(responses_format({"resp_1", 1, "m", "{}"}));
  return made;
}

void write_whole(const msg::chat_reply& reply) {
  for (const auto& format : formats()) {
    require_json(format->whole(reply));
    answer_player player{reply};
    auto frames = format->open(player.open());
    while (const auto piece = player.next())
      frames += format->chunk(*piece);
    require_frames(frames + format->end(reply.usage));
  }
}

/// What a stream amounts to is an answer like any other.
void put_together(const chunk_event& event) {
  answer_builder built{std::size_t{1} << 20};
  built.open(event.open);
  for (int again = 0; again < 2; ++again)
    for (const auto& piece : event.chunks)
      built.add(piece);
  if (const auto reply = built.finish({}))
    write_whole(*reply);
}

/// The same event again and again makes pieces that do not fit each other.
void write_stream(const chunk_event& event) {
  for (const auto& format : formats()) {
    auto frames = format->open(event.open);
    for (int again = 0; again < 2; ++again)
      for (const auto& piece : event.chunks)
        frames += format->chunk(piece);
    require_frames(frames + format->end(event.usage.value_or(msg::token_usage{})));
  }
}

msg::native_text native(msg::native_api api, const std::string& text) {
  return {static_cast<std::uint8_t>(api), std::string{bare_json(text)}};
}

/// What goes between a client and a provider of one API stays JSON, and its events stay events.
void pass_body(const std::string& bytes) {
  const msg::native_request given{0, std::string{bare_json(bytes)}, {}, {}, {}};
  if (!json::repeats_members(given.body))
    for (const bool stream : {false, true}) {
      require_json(native_body_for(given, "m", stream));
      require_json(native_chat_body(given, "m", stream, stream));
    }
}

void pass_chat(const std::string& bytes) {
  native_chat_stream stream{"chatcmpl-1", true};
  if (is_regular_chat(bytes))
    require_frames(stream.pass(native_frame({}, bytes)));
}

void pass_message_event(const std::string& bytes) {
  const auto frame = native_frame("event", bytes);
  require_frames(with_message_id(frame, "msg_1"));
  message_builder builder;
  for (int again = 0; again < 2; ++again)
    builder.add(frame);
  if (const auto message = builder.message()) {
    require_json(*message);
    require_frames(message_events(*message));
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  if (const auto body = read_messages_body(bytes)) {
    pass_body(bytes);
    require_json(write_chat_request(body->request));
    if (const auto written = write_messages_request(body->request, {}))
      require_json(*written);
  }
  if (const auto body = read_completions_body(bytes))
    require_json(write_chat_request(completion_chat(*body, 0)));
  if (read_chat_body(bytes))
    pass_body(bytes);
  if (auto reply = read_chat_reply(bytes)) {
    write_whole(*reply);
    reply->native = native(msg::native_api::chat, bytes);
    write_whole(*reply);
  }
  if (auto reply = read_messages_reply(bytes)) {
    write_whole(*reply);
    reply->native = native(msg::native_api::messages, bytes);
    write_whole(*reply);
  }
  if (auto reply = read_response(bytes)) {
    write_whole(*reply);
    reply->native = native(msg::native_api::responses, bytes);
    write_whole(*reply);
  }
  if (const auto event = response_reader{}.read(bytes)) {
    require_frames(response_frames(native_frame("event", bytes), {"resp_1", "resp_0"}));
    write_stream(*event);
    put_together(*event);
  }
  if (anthropic_stream{}.read(bytes))
    pass_message_event(bytes);
  if (const auto event = chunk_reader{}.read(bytes)) {
    pass_chat(bytes);
    write_stream(*event);
    put_together(*event);
  }
  return 0;
}
