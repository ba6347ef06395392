#pragma once

#include "runtime/base/clock.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/loopback.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

/// Empty where Redis is not installed.
inline std::string find_redis() {
  std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  for (std::size_t from = 0; from < path.size();) {
    const auto to = std::min(path.find(':', from), path.size());
    const auto file = path.substr(from, to - from) + "/redis-server";
    if (::access(file.c_str(), X_OK) == 0)
      return file;
    from = to + 1;
  }
  return {};
}

/// The binary, or a loud way out where it is missing; there must be one where tests are for keeps.
inline std::string redis_or_skip() {
  const auto binary = find_redis();
  if (!binary.empty())
    return binary;
  if (std::getenv("CI") != nullptr || std::getenv("SKEP_CI") != nullptr)
    FAIL("redis-server is not installed (apt install redis-server)");
  WARN("SKIPPED: redis-server is not installed (apt install redis-server)");
  return {};
}

/// A real Redis on a free port that keeps nothing on disk; more options go into `more`.
class redis_server {
public:
  explicit redis_server(std::string binary, std::vector<std::string> more = {})
    : binary_(std::move(binary)), more_(std::move(more)) {
    std::string folder = (std::filesystem::temp_directory_path() / "skep-redis-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    port_ = free_port();
    start();
  }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;
  ~redis_server() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  /// Also again, on the same port; it takes connections when this returns.
  void start() {
    std::vector<std::string> words{binary_,
                                   "--bind",
                                   "127.0.0.1",
                                   "--port",
                                   std::to_string(port_),
                                   "--save",
                                   "",
                                   "--appendonly",
                                   "no",
                                   "--dir",
                                   folder_.string(),
                                   "--unixsocket",
                                   socket(),
                                   "--logfile",
                                   (folder_ / "log").string()};
    words.insert(words.end(), more_.begin(), more_.end());
    std::vector<char*> arguments;
    for (auto& each : words)
      arguments.push_back(each.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    REQUIRE(listens());
  }
  /// As kill -9.
  void kill() {
    if (process_ <= 0)
      return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  void freeze() const {
    ::kill(process_, SIGSTOP);
  }
  void thaw() const {
    ::kill(process_, SIGCONT);
  }

  std::uint16_t port() const {
    return port_;
  }
  /// The path of its Unix socket.
  std::string socket() const {
    return (folder_ / "socket").string();
  }

private:
  bool listens() const {
    const auto deadline = clock::now() + 10s;
    while (clock::now() < deadline) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const auto at = loopback(port_);
      const bool open = ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
      ::close(fd);
      if (open)
        return true;
      ::poll(nullptr, 0, 5);
    }
    return false;
  }

  std::string binary_;
  std::vector<std::string> more_;
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

} // namespace skep::test
