#include "tests/unit/net/http_test_client.hpp"

#include "tests/support/catch.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace skep::net::testing {

raw_client::raw_client(std::uint16_t port, int receive_buffer_bytes) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd_ >= 0);
  if (receive_buffer_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
}

raw_client::~raw_client() {
  close();
}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool raw_client::fill() {
  pollfd state{fd_, POLLIN, 0};
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  if (ended_ || ::poll(&state, 1, static_cast<int>(wait)) <= 0)
    return false;
  char bytes[65536];
  const auto count = ::recv(fd_, bytes, sizeof bytes, 0);
  if (count <= 0) {
    ended_ = true;
    reset_ = count < 0 && errno == ECONNRESET;
    return false;
  }
  buffer_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::string raw_client::read_until(std::string_view mark) {
  for (;;) {
    if (const auto at = buffer_.find(mark); at != std::string::npos) {
      auto found = buffer_.substr(0, at + mark.size());
      buffer_.erase(0, at + mark.size());
      return found;
    }
    if (!fill())
      return {};
  }
}

std::string raw_client::read_response() {
  auto head = read_until("\r\n\r\n");
  const auto at = head.find("content-length: ");
  if (at == std::string::npos)
    return head;
  const auto length = std::stoul(head.substr(at + 16));
  while (buffer_.size() < length && fill()) {
  }
  head += buffer_.substr(0, length);
  buffer_.erase(0, length);
  return head;
}

std::string raw_client::read_to_end() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

std::string raw_client::read_some(std::size_t count) {
  if (buffer_.empty())
    fill();
  auto part = buffer_.substr(0, count);
  buffer_.erase(0, part.size());
  return part;
}

void raw_client::close_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void raw_client::close() {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

void raw_client::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

http_handler request_box::handler() {
  return [this](http_request&& request, std::shared_ptr<http_exchange> exchange) {
    const std::lock_guard lock{mutex_};
    items_.emplace_back(std::move(request), std::move(exchange));
    arrived_.notify_one();
  };
}

request_box::item request_box::next() {
  std::unique_lock lock{mutex_};
  REQUIRE(arrived_.wait_for(lock, patience, [this] { return !items_.empty(); }));
  auto first = std::move(items_.front());
  items_.pop_front();
  return first;
}

std::unique_ptr<http_server> serve(http_handler handler, http_server_config config) {
  auto server = http_server::start(std::move(config), std::move(handler));
  if (!server)
    FAIL(server.error().detail);
  return std::move(*server);
}

void echo(http_request&& request, std::shared_ptr<http_exchange> exchange) {
  http_response response;
  response.headers.add("content-type", "text/plain");
  response.body = request.method + " " + request.path + "?" + request.query + " " + request.body;
  exchange->respond(std::move(response));
}

std::string get(std::string_view path) {
  return "GET " + std::string{path} + " HTTP/1.1\r\nhost: test\r\n\r\n";
}

} // namespace skep::net::testing
