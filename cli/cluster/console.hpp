#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::cli::cluster {

/// Cuts what comes in pieces into lines.
class line_splitter {
public:
  /// A longer line comes in pieces of this many bytes, so that a child that never ends its line
  /// costs no memory.
  static constexpr std::size_t line_bytes_max = 16'384;

  /// Calls `take` with each line, without its end.
  void push(std::string_view bytes, const std::function<void(std::string_view)>& take);
  /// Whatever is left at the end of the output.
  void finish(const std::function<void(std::string_view)>& take);

private:
  std::string rest_;
};

/// What `skep cluster up` writes: the children's lines behind their names, our own events, and on a
/// terminal a last line that is drawn again in its place. Every line goes out whole, in one write.
class console {
public:
  /// Writes to `fd`, which stays open. Colour and the status line only with `terminal`.
  console(int fd, bool terminal, const std::vector<std::string>& names);

  /// A line of the child of this index in `names`.
  void line(std::size_t child, std::string_view text);
  /// "cluster: text".
  void event(std::string_view text);
  /// Replaces the status line; an empty text removes it. Nothing without a terminal.
  void status(std::string text);
  bool terminal() const {
    return terminal_;
  }

private:
  void write_line(std::string line);
  std::string drawn_status() const;

  int fd_;
  bool terminal_;
  std::vector<std::string> prefixes_;
  std::string status_;
};

} // namespace skep::cli::cluster
