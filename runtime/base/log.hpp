#pragma once

// The log: one line per event, written by one background thread. spdlog stays in log.cpp.
#include "runtime/base/expected.hpp"

#include <fmt/core.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace skep::log {

/// How loud an event is. The names are those of the config file and of the lines.
enum class level : std::uint8_t { debug, info, warn, error, off };

std::string_view to_string(level l) noexcept;
/// Reads a level's name; nothing when it is none.
std::optional<level> parse_level(std::string_view name) noexcept;

/// Where the log goes and what it may cost.
struct log_config {
  /// Events below this are not even formatted.
  log::level level = log::level::info;
  /// One JSON object {ts, level, msg, the event's fields, request_id} a line instead of text.
  bool json = false;
  /// Lines waiting for the writer; when full, the oldest is overwritten and counted. A slot costs
  /// about 400 bytes, allocated at the start.
  std::size_t queue_max = 4096;
  /// Bytes of one event's text and of its request id; longer ones are cut, and say by how much.
  std::size_t text_bytes_max = 8192;
  /// File to append to; empty: stderr.
  std::string file;
};

/// Starts the writer thread. A second call replaces the first one's set-up after its lines are
/// written. Errors: errc::bad_config (file not writable, queue_max is 0). Thread-safe.
expected<void> init(const log_config& config);

/// Writes what waits and ends the writer thread. Lines that the disk, or the reader of a pipe, does
/// not take within `at_most` are lost and counted: a dead reader holds nobody. Before init and
/// after shutdown events go to stderr at once, as text, on the caller's thread. Thread-safe.
void shutdown(std::chrono::milliseconds at_most = std::chrono::milliseconds{1000}) noexcept;

/// From the next line on the log goes to the file that has the name now: for log rotation.
/// Thread-safe.
void reopen() noexcept;

/// Lines lost since the process started: overwritten in a full queue or not writable.
std::uint64_t dropped() noexcept;
/// Lines waiting for the writer now.
std::size_t queue_depth() noexcept;
/// The bound of the queue; 0 while there is none.
std::size_t queue_max() noexcept;

/// Is an event of this level logged? One relaxed load.
bool enabled(level l) noexcept;

/// Says that a secret or a prompt was there, and how long it was, never what it said.
std::string redacted(std::string_view secret);

/// Puts the id of the request an event belongs to into its line:
/// `log::warn(log::request{id}, "cut after {} chunks", n);`
struct request {
  std::string_view id;
};

/// One named value of an event: a member of a JSON line, " name=value" in a text line.
struct field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double> value;
  /// The text line has the value alone.
  bool bare = false;

  field(std::string_view n, std::string_view text, bool alone = false)
    : name(n), value(text), bare(alone) {}
  template <std::integral T>
  field(std::string_view n, T number, bool alone = false)
    : name(n), value(static_cast<std::int64_t>(number)), bare(alone) {}
  field(std::string_view n, double number, bool alone = false)
    : name(n), value(number), bare(alone) {}
};

/// Hands over one event with its values apart, in this order; those that say nothing are better
/// left out. Texts of more than one word stand in quotes in a text line. As write() below.
void tell(level l, request about, std::string_view text, std::span<const field> fields) noexcept;

/// Formats and hands over one event. Control characters, also line ends, are escaped, so that no
/// field can forge a second line. Never throws, never waits for the disk. Thread-safe.
void write(level l, request about, fmt::string_view text, fmt::format_args args) noexcept;

/// Logs at `l` if enabled; the format string is checked by the compiler.
template <class... Ts>
void event(level l, request about, fmt::format_string<Ts...> text, Ts&&... args) {
  if (enabled(l))
    write(l, about, text, fmt::make_format_args(args...));
}

/// For people who follow one request through the code.
template <class... Ts>
void debug(fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::debug, {}, text, std::forward<Ts>(args)...);
}
template <class... Ts>
void debug(request about, fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::debug, about, text, std::forward<Ts>(args)...);
}

/// What an operator wants to know on a good day.
template <class... Ts>
void info(fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::info, {}, text, std::forward<Ts>(args)...);
}
template <class... Ts>
void info(request about, fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::info, about, text, std::forward<Ts>(args)...);
}

/// Something went wrong and skep coped.
template <class... Ts>
void warn(fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::warn, {}, text, std::forward<Ts>(args)...);
}
template <class... Ts>
void warn(request about, fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::warn, about, text, std::forward<Ts>(args)...);
}

/// Something went wrong and a person should look.
template <class... Ts>
void error(fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::error, {}, text, std::forward<Ts>(args)...);
}
template <class... Ts>
void error(request about, fmt::format_string<Ts...> text, Ts&&... args) {
  event<Ts...>(level::error, about, text, std::forward<Ts>(args)...);
}

} // namespace skep::log
