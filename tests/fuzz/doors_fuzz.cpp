// The older and the other chat API of the door: what a client sends becomes a request of ours and a
// provider's, or is refused; what a provider answers is written as JSON, whole and in frames.
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/server_request.hpp"
#include "apis/chat/answer.hpp"
#include "apis/openai/completions_format.hpp"
#include "apis/openai/completions_json.hpp"

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

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  if (const auto body = read_messages_body(bytes)) {
    require_json(write_chat_request(body->request));
    if (const auto written = write_messages_request(body->request, {}))
      require_json(*written);
  }
  if (const auto body = read_completions_body(bytes))
    require_json(write_chat_request(completion_chat(*body, 0)));
  if (const auto reply = read_chat_reply(bytes))
    write_whole(*reply);
  if (const auto reply = read_messages_reply(bytes))
    write_whole(*reply);
  if (const auto event = chunk_reader{}.read(bytes)) {
    write_stream(*event);
    put_together(*event);
  }
  return 0;
}
