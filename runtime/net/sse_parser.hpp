#pragma once

#include "runtime/base/expected.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace skep::net {

/// One server-sent event. The views are valid during the callback only.
struct sse_event {
  /// The type; empty stands for the default type "message".
  std::string_view event;
  /// The data lines, joined by '\n'.
  std::string_view data;
  /// The last id the stream has named so far; events that name none inherit it.
  std::string_view id;
};

/// Reads the event stream format of the WHATWG HTML standard (section 9.2.6), fed in pieces split
/// anywhere: lines end by \n, \r or \r\n, a byte order mark is skipped, comments, unknown fields
/// and events without data are ignored. An event of one data line inside one piece is handed on
/// without a copy. One thread at a time.
class sse_parser {
public:
  using sink = std::function<void(const sse_event&)>;

  /// `event_max_bytes` bounds the memory of one event: its data, type and the line being read.
  explicit sse_parser(std::size_t event_max_bytes = std::size_t{1} << 20);

  /// Calls `on_event` for each event that `bytes` completes. errc::too_large when an event passes
  /// the limit; the stream is then lost and every later push fails the same way.
  expected<void> push(std::string_view bytes, const sink& on_event);

  /// True while an event or a line has begun and not ended. At the end of a connection that means
  /// the answer was cut; the standard has such an event dropped.
  bool partial() const noexcept;

  /// The reconnection time the stream asked for in milliseconds, or -1.
  long long retry_ms() const noexcept {
    return retry_ms_;
  }

private:
  bool fits(std::size_t line_bytes) const noexcept;
  expected<void> refuse();
  void on_line(std::string_view line, const sink& on_event);
  void on_field(std::string_view name, std::string_view value);
  void add_data(std::string_view value);
  /// Copies a data line that lies in the caller's piece before the piece goes away.
  void keep_data();
  void dispatch(const sink& on_event);
  std::size_t data_size() const noexcept {
    return borrowed_.empty() ? data_.size() : borrowed_.size();
  }

  const std::size_t event_max_bytes_;
  /// The start of a line whose end has not come yet.
  std::string line_;
  std::string event_;
  std::string data_;
  /// The event's only data line so far, in the piece being read; empty once copied to data_.
  std::string_view borrowed_;
  std::string id_;
  long long retry_ms_ = -1;
  bool has_data_ = false;
  bool first_line_ = true;
  bool skip_lf_ = false;
  bool failed_ = false;
};

} // namespace skep::net
