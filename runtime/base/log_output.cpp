#include "runtime/base/log_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <utility>

namespace skep::log {

namespace {

using std::chrono::milliseconds;

// How often a writer nobody reads from looks whether it may stop waiting.
constexpr int look_interval_ms = 20;

enum class written : std::uint8_t { whole, in_part, nothing };

/// Writes in pieces that a pipe which has room takes without blocking (pipe(7): PIPE_BUF), and asks
/// `may_wait` again and again while there is no room.
written write_pieces(int fd, std::string_view bytes, const std::function<bool()>& may_wait) {
  const auto total = bytes.size();
  while (!bytes.empty()) {
    pollfd room{fd, POLLOUT, 0};
    const int ready = poll(&room, 1, 0);
    if (ready == 0 && may_wait()) {
      poll(&room, 1, look_interval_ms);
      continue;
    }
    if (ready == 0)
      break;
    const auto count = ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
    if (count >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(count));
    else if (errno != EINTR && errno != EAGAIN)
      break;
  }
  if (bytes.empty())
    return written::whole;
  return bytes.size() == total ? written::nothing : written::in_part;
}

/// A FIFO without a reader fails here instead of holding the thread.
int open_file(const std::string& file) {
  if (const auto folder = std::filesystem::path{file}.parent_path(); !folder.empty()) {
    std::error_code told_by_open;
    std::filesystem::create_directories(folder, told_by_open);
  }
  return open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
}

} // namespace

bool write_within(int fd, std::string_view bytes, milliseconds at_most) noexcept try {
  const auto end = std::chrono::steady_clock::now() + at_most;
  return write_pieces(fd, bytes, [end] { return std::chrono::steady_clock::now() < end; })
         == written::whole;
} catch (...) {
  return false;
}

line_output::line_output(std::string file)
  : file_(std::move(file)), fd_(file_.empty() ? STDERR_FILENO : open_file(file_)) {
  if (fd_ < 0)
    throw std::runtime_error{std::strerror(errno)};
}

line_output::~line_output() {
  if (!file_.empty())
    close(fd_);
}

void line_output::open_again() {
  if (file_.empty())
    return;
  const int fresh = open_file(file_);
  if (fresh < 0)
    return;
  close(std::exchange(fd_, fresh));
  torn_ = false;
}

void line_output::write(std::string_view line) {
  if (reopen_.exchange(false, std::memory_order_acquire))
    open_again();
  const auto may_wait = [this] { return !gave_up_.load(std::memory_order_acquire); };
  // What is left of a line that was cut must not run into the next one.
  if (torn_ && write_pieces(fd_, "\n", may_wait) == written::whole)
    torn_ = false;
  const auto how = torn_ ? written::nothing : write_pieces(fd_, line, may_wait);
  torn_ = torn_ || how == written::in_part;
  if (how != written::whole)
    throw std::runtime_error{"a line is lost"};
}

} // namespace skep::log
