#pragma once

#include "messages/chat.hpp"

#include <string>
#include <string_view>
#include <vector>

// Chat completions that are passed on as they came.
namespace skep::actors {

/// Whether OpenAI's clients can read a provider's answer, or an event of one, as it is: every
/// choice and every piece of a tool call has its index, and arguments are text. What is not so goes
/// out in skep's own words.
bool is_regular_chat(std::string_view json);

/// The same of an event, of which this was read; and its calls have the indexes they were read
/// with.
bool is_regular_piece(std::string_view json, const std::vector<msg::chat_chunk>& read);

/// Whether the tool calls of an event have the indexes they were read with: some servers number
/// every call 0.
bool has_own_numbers(std::string_view json, const std::vector<msg::chat_chunk>& read);

/// The body for a provider: the client's, for this model, streamed or whole. A stream asks for
/// usage, so that it is always known, unless the server refuses `stream_options`.
std::string native_chat_body(const msg::native_request& given, std::string_view model, bool stream,
                             bool stream_usage);

/// Passes on the events of one streamed answer. Pure; one thread at a time.
class native_chat_stream {
public:
  /// `id` is the answer's own; with `include_usage` as in the request's stream_options.
  native_chat_stream(std::string id, bool include_usage);

  /// The events for this client: under the answer's id, without the last one ([DONE]), and without
  /// usage that it did not ask for.
  std::string pass(std::string_view frames);
  /// An event with usage went out.
  bool told_usage() const {
    return told_usage_;
  }

private:
  bool is_plain(std::string_view data) const;
  std::string pass_event(std::string_view data);

  const std::string id_;
  const std::string id_member_; // As nearly all servers write it.
  const bool include_usage_;
  bool told_usage_ = false;
};

} // namespace skep::actors
