#include "cli/bench/child_server.hpp"

#include "runtime/base/clock.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace skep::cli::bench {

namespace {

constexpr duration ready_within = 10s;
constexpr duration stop_within = 40s;

std::string read_line(const std::string& path) {
  std::ifstream in{path};
  std::string line;
  std::getline(in, line);
  return line;
}

[[noreturn]] void become_server(const std::vector<std::string>& arguments, const std::string& log) {
  if (std::freopen(log.c_str(), "w", stderr) == nullptr
      || std::freopen("/dev/null", "w", stdout) == nullptr)
    _exit(127);
  std::vector<char*> raw;
  for (const auto& each : arguments)
    raw.push_back(const_cast<char*>(each.c_str()));
  raw.push_back(nullptr);
  execv("/proc/self/exe", raw.data());
  _exit(127);
}

} // namespace

expected<std::unique_ptr<child_server>> child_server::start(const std::vector<std::string>& command,
                                                            const std::vector<std::string>& sets) {
  char pattern[] = "/tmp/skep-bench-XXXXXX";
  if (mkdtemp(pattern) == nullptr)
    return fail(errc::bad_config, std::string{"no temporary folder: "} + std::strerror(errno));
  std::unique_ptr<child_server> made{new child_server};
  made->folder_ = pattern;
  const auto ready = made->folder_ + "/ready";
  std::vector<std::string> arguments{"skep"};
  arguments.insert(arguments.end(), command.begin(), command.end());
  arguments.insert(arguments.end(), {"--listen", "127.0.0.1:0", "--ready-file", ready});
  for (const auto& set : sets) {
    arguments.push_back("--set");
    arguments.push_back(set);
  }
  made->pid_ = fork();
  if (made->pid_ < 0)
    return fail(errc::bad_config, std::string{"cannot start a process: "} + std::strerror(errno));
  if (made->pid_ == 0)
    become_server(arguments, made->folder_ + "/log");
  if (auto done = made->wait_until_ready(ready, "skep " + command.front()); !done)
    return fail(done.error());
  return made;
}

expected<void> child_server::wait_until_ready(const std::string& ready_file,
                                              const std::string& what) {
  const auto deadline = clock::now() + ready_within;
  while (!std::filesystem::exists(ready_file)) {
    int status = 0;
    const bool ended = waitpid(pid_, &status, WNOHANG) == pid_;
    if (ended || clock::now() > deadline) {
      if (ended)
        pid_ = -1;
      return fail(errc::bad_config, what + " did not start: " + read_line(folder_ + "/log"));
    }
    std::this_thread::sleep_for(5ms);
  }
  url_ = "http://" + read_line(ready_file);
  return {};
}

bool child_server::stop() {
  if (pid_ < 0)
    return false;
  kill(pid_, SIGTERM);
  const auto deadline = clock::now() + stop_within;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(5ms);
  }
  pid_ = -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

child_server::~child_server() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

} // namespace skep::cli::bench
