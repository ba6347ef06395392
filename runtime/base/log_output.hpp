#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

namespace skep::log {

/// Writes all of `bytes` unless whoever reads the descriptor takes nothing for `at_most`; false
/// when some of it was not written. A full pipe never holds the caller for longer.
bool write_within(int fd, std::string_view bytes, std::chrono::milliseconds at_most) noexcept;

/// Where the log's lines go: a file or stderr. write() belongs to one thread, the rest to any.
class line_output {
public:
  /// Empty: stderr. Throws std::runtime_error when the file cannot be opened.
  explicit line_output(std::string file);
  line_output(const line_output&) = delete;
  line_output& operator=(const line_output&) = delete;
  ~line_output();

  /// Writes a line and waits for as long as nobody takes it. Throws std::runtime_error when it is
  /// lost: the disk refuses it, the reader is gone, or give_up() was called.
  void write(std::string_view line);

  /// The next line goes to whatever has the file's name then (log rotation). While that cannot be
  /// opened the old file goes on.
  void reopen() noexcept {
    reopen_.store(true, std::memory_order_release);
  }
  /// Nobody waits for a reader any more: what it does not take at once is lost.
  void give_up() noexcept {
    gave_up_.store(true, std::memory_order_release);
  }

private:
  void open_again();

  const std::string file_;
  int fd_;
  bool torn_ = false; // The last line was written in part.
  std::atomic<bool> reopen_{false};
  std::atomic<bool> gave_up_{false};
};

} // namespace skep::log
