#pragma once

#include "actors/provider/dialect.hpp"
#include "messages/chat.hpp"
#include "messages/failure.hpp"
#include "runtime/net/sse_parser.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace skep::actors {

/// Reads a provider's streamed answer: bytes split anywhere go in, chat_open and chat_chunks come
/// out and wait here until the caller has credit for them. The owner bounds what waits by feeding
/// no more than its window ahead of what was taken. Pure; one thread at a time.
///
/// The answer begins with the first piece a client would see: text, a tool call, a finish reason.
/// What a provider sends before it (a role, empty texts, usage, filter results) is its preamble; it
/// is held back, so that a provider that fails behind it has not begun.
///
/// Events that only keep the connection awake say nothing. Characters that are broken, or cut in
/// two between events, are put right as json::stream_repair does.
class answer_stream {
public:
  enum class phase : std::uint8_t { reading, whole, failed };

  /// `reader` knows the API's events; `body_max` bounds what is no stream of events. With `native`
  /// its pieces have the events they were read from.
  explicit answer_stream(std::unique_ptr<event_reader> reader,
                         std::size_t body_max = std::size_t{16} << 20,
                         msg::native_api native = msg::native_api::none);
  answer_stream(const answer_stream&) = delete;
  answer_stream& operator=(const answer_stream&) = delete;
  ~answer_stream();

  /// Reads more bytes. What follows the answer's end, or its failure, is ignored.
  void push(std::string_view bytes);
  /// The connection ended in order, but before the answer's last event. Where the API's servers
  /// may leave that out, the answer is whole if each choice gave its finish reason; else it was
  /// cut.
  void close();
  /// The connection broke; ignored when the answer is whole already.
  void fail(failure why);
  /// Each choice gave its finish reason, and the API's servers may leave out what follows.
  bool finished() const;

  /// A JSON text came instead of events: all of it so far. Null when events come.
  const std::string* body() const {
    return body_ ? &*body_ : nullptr;
  }
  /// Goes on with this whole answer, which the body was, as if it had been streamed.
  void play(msg::chat_reply reply);

  /// The head of the answer, once, as soon as the answer begins.
  std::optional<msg::chat_open> take_open();
  /// Chunks wait to be taken; none do before the answer begins.
  bool waiting() const {
    return begun_ && !chunks_.empty();
  }
  /// The oldest waiting chunk; there must be one.
  msg::chat_chunk take_chunk();

  /// How the reading stands; chunks that came before may still wait.
  phase state() const {
    return state_;
  }
  /// Why, when failed.
  const failure& why() const {
    return why_;
  }
  /// The provider's count, or, as far as it sent none, an estimate from what was read and the bytes
  /// of the prompt.
  msg::token_usage usage(std::size_t prompt_bytes) const;

private:
  struct choice_mark {
    std::uint32_t index = 0;
    bool finished = false;
  };

  void read_event(std::string_view name, std::string_view data);
  void take(std::string_view name, std::string_view data, expected<chunk_event> event);
  void attach(std::string_view name, std::string_view data, chunk_event& event);
  void read_last();
  void gather_head(msg::chat_open from);
  void add(msg::chat_chunk piece);
  void ended();
  void note(msg::chat_chunk& piece);
  bool all_finished() const;

  std::unique_ptr<event_reader> reader_;
  net::sse_parser parser_;
  struct text_repair;
  std::unique_ptr<text_repair> repair_; // Since the first event that needed it.
  const std::size_t body_max_;
  const msg::native_api native_;
  std::optional<std::string> body_;
  bool first_byte_ = true; // Is still to come.
  phase state_ = phase::reading;
  failure why_;
  msg::chat_open head_; // Put together from the preamble's events and the first piece's.
  std::size_t preamble_bytes_ = 0;
  bool begun_ = false;
  bool opened_ = false; // The head was taken.
  std::deque<msg::chat_chunk> chunks_;
  std::optional<msg::token_usage> usage_;
  std::size_t answer_bytes_ = 0;
  std::vector<choice_mark> choices_;
};

/// About one token per four bytes; marked as estimated.
msg::token_usage estimated_usage(std::size_t prompt_bytes, std::size_t answer_bytes);

/// The bytes of a request that a model reads, and of an answer that it wrote, for estimates.
std::size_t prompt_bytes_of(const msg::chat_request& request);
std::size_t answer_bytes_of(const msg::chat_reply& reply);

} // namespace skep::actors
