#include "program/serving.hpp"

#include "runtime/base/log_output.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace skep::program {

namespace {

// How long the ready line waits for whoever reads stdout.
constexpr std::chrono::milliseconds ready_line_max{1000};

bool write_ready_file(const std::string& path, const std::string& lines) {
  const auto partial = path + ".partial";
  {
    std::ofstream out{partial};
    out << lines;
    if (!out.flush())
      return false;
  }
  std::error_code failed;
  std::filesystem::rename(partial, path, failed);
  return !failed;
}

} // namespace

sigset_t signal_set(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int each : signals)
    sigaddset(&set, each);
  return set;
}

sigset_t stop_signals() {
  return signal_set({SIGTERM, SIGINT});
}

void hold_signals(const sigset_t& held) {
  pthread_sigmask(SIG_BLOCK, &held, nullptr);
  for (const int each : {SIGPIPE, SIGALRM, SIGVTALRM, SIGUSR1, SIGUSR2, SIGIO, SIGPWR, SIGXFSZ})
    if (sigismember(&held, each) == 0)
      std::signal(each, SIG_IGN);
}

void let_signals_kill() {
  const auto set = stop_signals();
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void open_standard_streams() {
  for (const int each : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(each, F_GETFD) < 0) // The lowest free number is given: this one.
      [[maybe_unused]]
      const int opened = open("/dev/null", O_RDWR);
}

bool announce(const std::string& program, const std::string& endpoint,
              const std::string& ready_file, const std::string& operations) {
  log::write_within(STDOUT_FILENO, fmt::format("{}: listening on http://{}\n", program, endpoint),
                    ready_line_max);
  auto lines = endpoint + '\n';
  if (!operations.empty())
    lines += operations + '\n';
  if (ready_file.empty() || write_ready_file(ready_file, lines))
    return true;
  fmt::print(stderr, "{}: cannot write the ready file {}\n", program, ready_file);
  return false;
}

} // namespace skep::program
