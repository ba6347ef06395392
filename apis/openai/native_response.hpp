#pragma once

#include "apis/chat/provider_answer.hpp"
#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

// OpenAI's Responses API, the client's side: answers of providers that have it, read for everybody
// and passed on to clients of the same API as they came.
namespace skep::actors {

/// A provider's whole response as a chat's answer; errc::provider_failed when it is none, or says
/// that it failed.
tl::expected<msg::chat_reply, failure> read_response(std::string_view json);

/// Reads the events of one streamed response, in their order. What chats have no name for (items of
/// hosted tools, annotations) is in none of the pieces.
class response_reader {
public:
  /// Reads the data of one event; errc::provider_failed when it is none.
  tl::expected<chunk_event, failure> read(std::string_view json);

private:
  struct call_mark {
    std::uint32_t index = 0;
    bool has_arguments = false;
  };
  struct event;

  void added(const event& e, chunk_event& into);
  void argued(const event& e, chunk_event& into);
  void ended(const event& e, chunk_event& into);
  call_mark& call_of(const event& e);

  std::map<std::string, call_mark> calls_; // By output_index, as it stands.
  bool spoke_ = false;                     // Text came in pieces.
};

/// What a response is called here; it has another name at its provider.
struct response_names {
  std::string id;
  /// previous_response_id as the client gave it; empty: the response has none, or has it as it is.
  std::string previous;
};

/// The response under these names; all else keeps its bytes.
std::string with_names(std::string_view response, const response_names& names);

/// The whole response that a text of the API is, or ends with; empty when there is none.
std::string_view response_in(std::string_view native_text);

/// Events for a client: those of the text, which are frames or one whole response.
std::string response_frames(std::string_view native_text, const response_names& names);

} // namespace skep::actors
