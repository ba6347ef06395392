// What a provider of Anthropic's kind sends, whole and streamed: whatever comes, it is read or
// refused; what is handed on is JSON again; and a stream says the same wherever it is split.
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/client_request.hpp"
#include "apis/chat/tool_calls.hpp"
#include "apis/openai/chat_json.hpp"
#include "runtime/json/object.hpp"
#include "runtime/net/sse_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace skep;
using namespace skep::actors;

namespace {

constexpr std::size_t event_max = std::size_t{1} << 16;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void require_object(const std::string& rest) {
  require(rest.empty() || (json::is_valid(rest) && json::members_of(rest)));
}

void read_whole(std::string_view bytes) {
  const auto reply = read_messages_reply(bytes);
  if (!reply)
    return;
  require(reply->choices.size() == 1);
  require_object(reply->rest);
  require_object(reply->usage.rest);
  require_object(reply->choices[0].rest);
  require(!reply->choices[0].finish_reason.empty());
  // Deeper by what is put around it, so only its shape is asked for.
  require(reply->choices[0].message_rest.empty()
          || json::members_of(reply->choices[0].message_rest));
  write_chat_reply(*reply);
}

/// All that a stream brings, as one text; ends where it fails.
std::string read_stream(std::string_view bytes, std::size_t piece) {
  net::sse_parser parser{event_max};
  anthropic_stream stream;
  std::string story;
  bool going = true;
  const auto take = [&](const net::sse_event& event) {
    if (!going)
      return;
    const auto read = stream.read(event.data);
    going = read.has_value() && !read->last && !read->error;
    if (!read) {
      story += "failed";
      return;
    }
    for (const auto& chunk : read->chunks) {
      require(chunk.delta_rest.empty() || json::members_of(chunk.delta_rest));
      require_object(chunk.rest);
      story += chunk.content + '|' + chunk.delta_rest + '|' + chunk.finish_reason + ';';
      append_tool_call_pieces(story, chunk.tool_calls);
    }
    if (read->usage)
      story += std::to_string(read->usage->prompt) + '/' + std::to_string(read->usage->completion);
    story += read->last ? "whole" : read->error ? "error" : "";
  };
  while (!bytes.empty() && going) {
    const auto some = bytes.substr(0, piece);
    going = parser.push(some, take) && going;
    bytes.remove_prefix(some.size());
  }
  return story;
}

/// A conversation that a client made up of the same bytes.
void write_back(const std::string& bytes) {
  msg::chat_request request;
  request.parameters = bytes;
  request.messages
    = {{"user", "hi", {}}, {"assistant", {}, bytes}, {"tool", {}, bytes}, {"user", {}, bytes}};
  if (const auto body = write_messages_request(request, {}); body && json::is_valid(bytes))
    require(json::members_of(*body).has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  read_whole(bytes);
  write_back(bytes);
  const auto story = read_stream(bytes, bytes.size() + 1);
  require(read_stream(bytes, 1) == story);
  require(read_stream(bytes, 7) == story);
  return 0;
}
