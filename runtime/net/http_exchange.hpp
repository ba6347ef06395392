#pragma once

#include "runtime/net/answer_shape.hpp"
#include "runtime/net/http_message.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace skep::net {

class http_session;

/// The answering side of one request, given to the handler. Every method may be called from any
/// thread; calls of one thread keep their order. On the connection's own thread they act at once,
/// from elsewhere they are queued and one wake-up serves all that is queued.
///
/// Answer once: respond(), or begin_stream(), write()..., then end() or abort(). What comes after
/// the end is ignored. When the last reference goes away unanswered, the client gets 500; a stream
/// left open is aborted. The callbacks are released when the answer ends or the connection is lost;
/// one that captures the exchange keeps it from being dropped until then.
class http_exchange {
public:
  /// For the session only.
  http_exchange(std::shared_ptr<http_session> session, std::uint64_t number, answer_wishes wishes);
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;
  ~http_exchange();

  /// The whole answer. What the client asked of its form (compression, If-None-Match) is done here,
  /// on the calling thread, so that the connection's thread stays free for the other clients.
  /// Where answers_max_bytes has no room for it the client gets 503.
  void respond(http_response response);
  /// The same, but false when there is no room: the exchange is still to be answered then.
  [[nodiscard]] bool try_respond(http_response response);
  /// Starts an answer of unknown length: chunked for HTTP/1.1, ended by the connection for 1.0.
  void begin_stream(int status, http_headers headers);
  /// Queues one frame; it becomes one HTTP chunk, sent at once when the socket has room. False, and
  /// the frame is not taken, when the client is gone, no stream is open, or the frame would bring
  /// the unsent bytes over send_buffer_max_bytes (a first frame alone may be larger) or those of
  /// all connections over answers_max_bytes.
  [[nodiscard]] bool write(std::string frame);
  /// The same for what belongs to the answer whatever its size (its beginning, its end): the bound
  /// does not hold for it, and for other frames of this answer it is that much higher. False only
  /// when the client is gone, no stream is open, or answers_max_bytes has no room.
  [[nodiscard]] bool write_owed(std::string frame);
  /// The clean end of a stream; the connection stays open for the next request.
  void end();
  /// Sends what is queued, then closes without the final chunk, so that the client sees a cut.
  void abort();

  /// `fn` runs once, on the connection's thread, if the connection is lost before respond(), end()
  /// or abort() took effect; at once if that has already happened (after stop() on the calling
  /// thread). A client that closes its sending side counts as gone. Bytes sent ahead by pipelining
  /// hide the close for at most half a second.
  void on_closed(std::function<void()> fn);
  /// `fn` runs on the connection's thread with the number of frame bytes handed to the kernel since
  /// the last call: the credit the producer gets back. Not called after end() or abort().
  void on_drained(std::function<void(std::size_t bytes)> fn);
  /// True once the connection is lost; a hint for skipping work.
  [[nodiscard]] bool gone() const noexcept;

private:
  enum class phase : std::uint8_t { waiting, streaming, done };

  bool advance(phase from, phase to) noexcept;
  bool submit_frame(std::string frame);

  std::shared_ptr<http_session> session_;
  std::uint64_t number_;
  answer_wishes wishes_;
  std::atomic<phase> phase_{phase::waiting};
  // Bytes of write_owed().
  std::atomic<std::size_t> owed_{0};
};

} // namespace skep::net
