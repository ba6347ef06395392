#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace skep::testing {

/// A request as the upstream read it. Header names are lower case.
struct upstream_request {
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first header of this lower-case name, or an empty string.
  std::string header(std::string_view name) const;
};

/// One accepted connection, in the hands of the script. Every wait ends after `patience`.
class upstream_connection {
public:
  static constexpr std::chrono::milliseconds patience{10'000};

  /// Takes the socket; `tls` is an SSL_CTX or null.
  upstream_connection(int fd, std::size_t index, void* tls);
  upstream_connection(const upstream_connection&) = delete;
  upstream_connection& operator=(const upstream_connection&) = delete;
  ~upstream_connection();

  /// 0 for the first connection the upstream accepted, and so on.
  std::size_t index() const noexcept {
    return index_;
  }
  /// The next request, or nothing once the peer is gone.
  std::optional<upstream_request> read_request();
  /// Exactly `n` raw bytes, for protocols the script speaks itself, or nothing.
  std::optional<std::string> read_exactly(std::size_t n);
  /// All of it, or false when the peer is gone or reads nothing for `wait`.
  bool send(std::string_view bytes, std::chrono::milliseconds wait = patience);
  /// A whole answer with a Content-Length.
  bool reply(int status, std::string_view body, std::string_view more_headers = {});
  /// The head of an answer whose chunks follow by send_chunk and end by end_chunks.
  bool begin_chunks(std::string_view content_type = "text/event-stream");
  bool send_chunk(std::string_view bytes, std::chrono::milliseconds wait = patience);
  bool end_chunks();
  /// Waits until the peer closes; false when it does not within `wait`.
  bool wait_closed(std::chrono::milliseconds wait = patience);
  /// Closes with a TCP reset.
  void reset();

  /// Closes in order, as the end of the script does.
  void close();

  /// Breaks the connection under a script that waits; any thread.
  void abort();

private:
  bool handshake();
  /// Positive: bytes. 0: closed. Negative: time is up.
  std::ptrdiff_t receive(char* data, std::size_t size, std::chrono::milliseconds wait);
  bool wait_ready(short events, std::chrono::steady_clock::time_point until) const;
  bool fill();

  std::mutex closing_;
  /// Written by the script's thread under closing_, so that abort() never hits a number in new use.
  int fd_;
  std::size_t index_;
  void* tls_context_;
  void* tls_ = nullptr;
  std::string buffer_;
};

/// A server for tests on 127.0.0.1 and a free port: every connection runs the script on a thread of
/// its own and is closed when the script returns.
class tiny_upstream {
public:
  using script = std::function<void(upstream_connection&)>;

  explicit tiny_upstream(script run);
  /// Speaks TLS with a fresh self-signed certificate for 127.0.0.1 and offers `alpn` ("h2").
  tiny_upstream(script run, std::string alpn);
  tiny_upstream(const tiny_upstream&) = delete;
  tiny_upstream& operator=(const tiny_upstream&) = delete;
  /// Aborts what still runs and joins it.
  ~tiny_upstream();

  /// Answers every request of every connection with `answer`.
  static script each_request(std::function<void(upstream_connection&, upstream_request&)> answer);

  std::uint16_t port() const noexcept {
    return port_;
  }
  /// http:// or https:// 127.0.0.1:port and the path.
  std::string url(std::string_view path = "/") const;
  std::size_t accepted() const noexcept {
    return accepted_.load();
  }
  /// The certificate as PEM, for a client's list of authorities.
  const std::string& certificate_pem() const noexcept {
    return certificate_pem_;
  }

private:
  void listen_on_free_port();
  void accept_all();
  void make_tls();

  script script_;
  int listen_fd_ = -1;
  std::uint16_t port_ = 0;
  void* tls_context_ = nullptr;
  std::string alpn_;
  std::string certificate_pem_;
  std::atomic<std::size_t> accepted_{0};
  std::atomic<bool> stopping_{false};
  // Both grow on the acceptor's thread only and are kept until the end; a test opens few.
  std::vector<std::unique_ptr<upstream_connection>> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

} // namespace skep::testing
