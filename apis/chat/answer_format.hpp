#pragma once

#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace skep::actors {

/// How one API of the gateway writes an answer: one object per request, made when the request has
/// been read. The session calls it one call at a time, frames under its lock, so it must be quick
/// and ask nobody. Where the answer is streamed: open once, then chunk and at last end or failed;
/// else whole once, or nothing at all when the call failed before it began (errors of that kind are
/// the endpoint's: http_errors.hpp).
class answer_format {
public:
  answer_format() = default;
  answer_format(const answer_format&) = delete;
  answer_format& operator=(const answer_format&) = delete;
  virtual ~answer_format() = default;

  /// The body of a whole answer, JSON.
  virtual std::string whole(const msg::chat_reply& reply) = 0;

  /// Frames ("data: …\n\n") that begin the stream; may be empty.
  virtual std::string open(const msg::chat_open& begin) = 0;
  /// Frames of one piece; may be empty.
  virtual std::string chunk(const msg::chat_chunk& piece) = 0;
  /// Frames that end the stream well.
  virtual std::string end(const msg::token_usage& usage) = 0;
  /// Frames that tell of a failure in the middle of the stream, and end it.
  /// `param` is the member of the request at fault, or empty.
  virtual std::string failed(const failure& why, std::string_view param) = 0;
};

/// OpenAI's chat completions. `include_usage` as in stream_options.
std::unique_ptr<answer_format> chat_format(bool include_usage);

} // namespace skep::actors
