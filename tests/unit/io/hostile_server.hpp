#pragma once

#include "tests/support/redis_server.hpp"

#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace skep::test {

/// A server that greets like Redis and then says whatever the test wants: PING, AUTH and SELECT are
/// answered well, every other command by `says`.
class hostile_server {
public:
  struct answer {
    std::string bytes;
    /// How the connection goes on after these bytes.
    enum class then : std::uint8_t { stay, close, reset } after = then::stay;
  };
  using script = std::function<answer(const std::string& command)>;

  explicit hostile_server(script says, std::string greeting = "+PONG\r\n")
    : says_(std::move(says)), greeting_(std::move(greeting)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), stop_(eventfd(0, EFD_CLOEXEC)) {
    auto at = loopback(0);
    socklen_t size = sizeof(at);
    auto* address = reinterpret_cast<sockaddr*>(&at);
    REQUIRE(::bind(listener_, address, size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    REQUIRE(::getsockname(listener_, address, &size) == 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread{[this] { run(); }};
  }
  hostile_server(const hostile_server&) = delete;
  hostile_server& operator=(const hostile_server&) = delete;
  ~hostile_server() {
    const std::uint64_t one = 1;
    CHECK(::write(stop_, &one, sizeof one) == sizeof one);
    thread_.join();
    for (const auto& [fd, text] : clients_)
      ::close(fd);
    ::close(listener_);
    ::close(stop_);
  }

  std::uint16_t port() const {
    return port_;
  }
  int accepted() const {
    return accepted_;
  }

private:
  void run() {
    for (;;) {
      std::vector<pollfd> watched{{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto& [fd, text] : clients_)
        watched.push_back({fd, POLLIN, 0});
      ::poll(watched.data(), watched.size(), -1);
      if (watched[0].revents != 0)
        return;
      if (watched[1].revents != 0) {
        clients_[::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)];
        ++accepted_;
      }
      for (std::size_t n = 2; n < watched.size(); ++n)
        if (watched[n].revents != 0 && !serve(watched[n].fd)) {
          ::close(watched[n].fd);
          clients_.erase(watched[n].fd);
        }
    }
  }

  bool serve(int fd) {
    std::array<char, 4096> bytes;
    const auto n = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (n <= 0)
      return false;
    auto& text = clients_[fd];
    text.append(bytes.data(), static_cast<std::size_t>(n));
    while (const auto command = next(text))
      if (!reply(fd, *command))
        return false;
    return true;
  }

  /// The first word of the next whole command: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".
  static std::optional<std::string> next(std::string& text) {
    std::size_t at = text.find("\r\n");
    if (at == std::string::npos)
      return std::nullopt;
    const int words = std::stoi(text.substr(1));
    std::string first;
    at += 2;
    for (int word = 0; word < words; ++word) {
      const auto line = text.find("\r\n", at);
      if (line == std::string::npos)
        return std::nullopt;
      const auto size = static_cast<std::size_t>(std::stoul(text.substr(at + 1)));
      if (text.size() < line + 2 + size + 2)
        return std::nullopt;
      if (word == 0)
        first = text.substr(line + 2, size);
      at = line + 2 + size + 2;
    }
    text.erase(0, at);
    return first;
  }

  bool reply(int fd, const std::string& command) {
    answer out;
    if (command == "PING")
      out.bytes = greeting_;
    else if (command == "AUTH" || command == "SELECT")
      out.bytes = "+OK\r\n";
    else
      out = says_(command);
    for (std::size_t sent = 0; sent < out.bytes.size();) {
      const auto n = ::send(fd, out.bytes.data() + sent, out.bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0)
        return false;
      sent += static_cast<std::size_t>(n);
    }
    if (out.after == answer::then::reset) {
      const linger at_once{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    return out.after == answer::then::stay;
  }

  const script says_;
  const std::string greeting_;
  const int listener_;
  const int stop_;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::map<int, std::string> clients_; // The thread's, until it ends.
  std::thread thread_;
};

} // namespace skep::test
