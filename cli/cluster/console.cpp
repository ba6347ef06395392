#include "cli/cluster/console.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace skep::cli::cluster {

namespace {

// Cyan, green, yellow, blue, magenta, red: readable on dark and on light.
constexpr std::array colours{36, 32, 33, 34, 35, 31};
constexpr std::string_view erase_line = "\r\x1b[K";
constexpr std::size_t columns_otherwise = 80;

/// The whole text, waiting while the reader is slow; gives up when there is no reader.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EAGAIN) {
      pollfd slow{fd, POLLOUT, 0};
      poll(&slow, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::size_t columns_of(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : columns_otherwise;
}

/// At most `columns` characters of UTF-8 text.
std::string_view cut(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U;
    if (begins && columns-- == 0)
      break;
  }
  return text.substr(0, at);
}

} // namespace

void line_splitter::push(std::string_view bytes,
                         const std::function<void(std::string_view)>& take) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    rest_ += bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    for (; rest_.size() > line_bytes_max; rest_.erase(0, line_bytes_max))
      take(std::string_view{rest_}.substr(0, line_bytes_max));
    if (end == std::string_view::npos)
      return;
    take(rest_);
    rest_.clear();
  }
}

void line_splitter::finish(const std::function<void(std::string_view)>& take) {
  if (!rest_.empty())
    take(rest_);
  rest_.clear();
}

console::console(int fd, bool terminal, const std::vector<std::string>& names)
  : fd_(fd), terminal_(terminal) {
  std::size_t width = 0;
  for (const auto& name : names)
    width = std::max(width, name.size());
  for (const auto& name : names) {
    const auto plain = fmt::format("{:<{}} | ", name, width);
    const auto colour = colours[prefixes_.size() % colours.size()];
    prefixes_.push_back(terminal ? fmt::format("\x1b[{}m{}\x1b[0m", colour, plain) : plain);
  }
}

void console::line(std::size_t child, std::string_view text) {
  write_line(prefixes_[child] + std::string{text});
}

void console::event(std::string_view text) {
  write_line("cluster: " + std::string{text});
}

void console::status(std::string text) {
  if (!terminal_ || text == status_)
    return;
  status_ = std::move(text);
  write_all(fd_, drawn_status());
}

std::string console::drawn_status() const {
  return std::string{erase_line} + std::string{cut(status_, columns_of(fd_) - 1)};
}

void console::write_line(std::string line) {
  line += '\n';
  if (terminal_)
    line = std::string{erase_line} + line + drawn_status();
  write_all(fd_, line);
}

} // namespace skep::cli::cluster
