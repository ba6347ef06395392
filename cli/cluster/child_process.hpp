#pragma once

#include "runtime/base/expected.hpp"

#include <sys/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace skep::cli::cluster {

/// Owns a file descriptor.
class owned_fd {
public:
  owned_fd() = default;
  explicit owned_fd(int fd) : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  owned_fd& operator=(owned_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~owned_fd();

  /// -1: none.
  int get() const {
    return fd_;
  }
  explicit operator bool() const {
    return fd_ >= 0;
  }
  void close();

private:
  int fd_ = -1;
};

/// How a process ended.
struct process_end {
  /// Of an exit; -1 when a signal ended it.
  int code = -1;
  /// 0: none.
  int signal = 0;

  /// "code 1" or "signal 9".
  std::string text() const;
};

/// A child process whose output comes through two pipes and whose end shows on a descriptor (a
/// pidfd), so that one poll() waits for all of it. In a process group of its own, so that Ctrl-C at
/// the terminal reaches the parent only; the kernel kills it when the parent's thread dies.
/// For one thread.
class child_process {
public:
  /// `command`: path and arguments, at least the path. `variables` join those of this process, or
  /// take their place. errc::unavailable when there is no process
  /// to be had; that the path cannot be run shows as exit code 127.
  static expected<child_process> start(const std::vector<std::string>& command,
                                       const std::map<std::string, std::string>& variables = {});
  child_process(child_process&&) noexcept = default;
  child_process& operator=(child_process&&) noexcept = default;
  /// Kills and reaps what still runs.
  ~child_process();

  pid_t pid() const {
    return pid_;
  }
  /// Becomes readable when the process has ended.
  int exit_fd() const {
    return exit_fd_.get();
  }
  /// Its stdout (0) and stderr (1), non-blocking; -1 once closed.
  int output_fd(std::size_t stream) const {
    return outputs_[stream].get();
  }
  void close_output(std::size_t stream) {
    outputs_[stream].close();
  }
  /// Nothing happens once it was reaped.
  void send_signal(int number) const;
  /// Once exit_fd() is readable: how it ended. The process is gone afterwards.
  process_end reap();

private:
  child_process() = default;

  pid_t pid_ = -1;
  owned_fd exit_fd_;
  owned_fd outputs_[2];
};

} // namespace skep::cli::cluster
