#include "cli/cluster/child_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace skep::cli::cluster {

namespace {

constexpr int could_not_run = 127;

/// Between fork and exec: only what is safe there while other threads may hold locks.
[[noreturn]] void become(char* const* arguments, char* const* variables, int out, int err,
                         pid_t parent) {
  // The last resort when the parent dies without a word: nobody would read our pipes any more.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
    _exit(could_not_run);
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0
      || dup2(err, STDERR_FILENO) < 0)
    _exit(could_not_run);
  execve(arguments[0], arguments, variables);
  _exit(could_not_run);
}

/// Pointers to the texts, as exec takes them; the texts must outlive them.
std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> made;
  for (const auto& each : texts)
    made.push_back(const_cast<char*>(each.c_str()));
  made.push_back(nullptr);
  return made;
}

/// "NAME=VALUE" of everything a child is to see.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& own) {
  std::vector<std::string> all;
  for (auto* each = environ; *each != nullptr; ++each) {
    const std::string inherited{*each};
    if (own.count(inherited.substr(0, inherited.find('='))) == 0)
      all.push_back(inherited);
  }
  for (const auto& [name, text] : own)
    all.push_back(name + "=" + text);
  return all;
}

auto failed(const char* what) {
  return fail(errc::unavailable,
              std::string{"cannot start a process: "} + what + ": " + std::strerror(errno));
}

} // namespace

owned_fd::~owned_fd() {
  close();
}

void owned_fd::close() {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

std::string process_end::text() const {
  return signal != 0 ? "signal " + std::to_string(signal) : "code " + std::to_string(code);
}

expected<child_process> child_process::start(const std::vector<std::string>& command,
                                             const std::map<std::string, std::string>& variables) {
  const auto arguments = pointers_to(command);
  const auto environment = environment_with(variables);
  const auto exported = pointers_to(environment);
  child_process made;
  std::array<owned_fd, 2> theirs;
  for (std::size_t stream = 0; stream < theirs.size(); ++stream) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
      return failed("pipe");
    made.outputs_[stream] = owned_fd{ends[0]};
    theirs[stream] = owned_fd{ends[1]};
    // Only our end: a child need not expect that its output blocks in another way.
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  const pid_t parent = getpid();
  made.pid_ = fork();
  if (made.pid_ < 0)
    return failed("fork");
  if (made.pid_ == 0)
    become(arguments.data(), exported.data(), theirs[0].get(), theirs[1].get(), parent);
  // By number: the header of glibc 2.36 declares the function without C linkage.
  made.exit_fd_ = owned_fd{static_cast<int>(syscall(SYS_pidfd_open, made.pid_, 0))};
  if (!made.exit_fd_)
    return failed("pidfd_open (Linux 5.3)");
  return made;
}

child_process::~child_process() {
  // A moved-from process has no descriptor.
  if (!exit_fd_)
    return;
  send_signal(SIGKILL);
  reap();
}

void child_process::send_signal(int number) const {
  if (exit_fd_)
    kill(pid_, number);
}

process_end child_process::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_fd_.close();
  process_end end;
  if (WIFSIGNALED(status))
    end.signal = WTERMSIG(status);
  else
    end.code = WEXITSTATUS(status);
  return end;
}

} // namespace skep::cli::cluster
