#include "cli/serving.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace skep::cli {

namespace {

bool write_ready_file(const std::string& path, const std::string& endpoint) {
  const auto partial = path + ".partial";
  {
    std::ofstream out{partial};
    out << endpoint << '\n';
    if (!out.flush())
      return false;
  }
  std::error_code failed;
  std::filesystem::rename(partial, path, failed);
  return !failed;
}

} // namespace

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void hold_signals() {
  const auto set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void let_signals_kill() {
  const auto set = stop_signals();
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool announce(const std::string& endpoint, const std::string& ready_file) {
  fmt::print("skep: listening on http://{}\n", endpoint);
  std::fflush(stdout);
  if (ready_file.empty() || write_ready_file(ready_file, endpoint))
    return true;
  fmt::print(stderr, "skep: cannot write the ready file {}\n", ready_file);
  return false;
}

} // namespace skep::cli
