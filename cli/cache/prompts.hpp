#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <istream>
#include <optional>
#include <string>

namespace skep::cli::cache {

/// One line of a file of prompts, ready to be sent.
struct prompt {
  /// From 1.
  std::uint64_t line = 0;
  /// The body of POST /v1/chat/completions.
  std::string body;
};

/// Reads prompts one by one, so that a file of any length takes the memory of a line. A file whose
/// first line that is not empty is a JSON string or object is read as JSON lines: each a prompt, a
/// whole chat body (it has `messages`), or {"prompt": …, "model": …}. Any other file has a prompt
/// per line, as it stands.
class prompt_reader {
public:
  /// What a gateway takes as a body at most.
  static constexpr std::size_t line_max = std::size_t{16} << 20;

  /// `model` for prompts that name none; may be empty. `from` must outlive the reader.
  prompt_reader(std::istream& from, std::string model);

  /// The next prompt, or nothing at the end. errc::bad_request names the line; the reader can go on
  /// behind it.
  expected<std::optional<prompt>> next();

private:
  enum class format { unknown, text, json };

  expected<bool> read_line();
  expected<std::string> body_of_text() const;
  expected<std::string> body_of_json() const;
  expected<std::string> body_of(const std::string& text, const std::string& model) const;

  std::istream& from_;
  const std::string model_;
  format format_ = format::unknown;
  std::string line_;
  std::uint64_t number_ = 0;
};

} // namespace skep::cli::cache
