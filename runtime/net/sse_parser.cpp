#include "runtime/net/sse_parser.hpp"

#include <algorithm>
#include <charconv>

namespace skep::net {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Finds line ends with memchr, which beats a byte loop by far on long lines. The next '\n' is
/// remembered, so that a piece full of '\r' is not searched again for every line.
class line_finder {
public:
  explicit line_finder(std::string_view bytes) : bytes_(bytes) {}

  /// Where the line beginning at `from` ends, or npos.
  std::size_t end_of_line(std::size_t from) {
    if (lf_ != std::string_view::npos && (!searched_ || lf_ < from)) {
      lf_ = bytes_.find('\n', from);
      searched_ = true;
    }
    const std::size_t cr = bytes_.substr(0, lf_).find('\r', from);
    return std::min(cr, lf_);
  }

private:
  std::string_view bytes_;
  std::size_t lf_ = 0;
  bool searched_ = false;
};

} // namespace

sse_parser::sse_parser(std::size_t event_max_bytes) : event_max_bytes_(event_max_bytes) {}

expected<void> sse_parser::push(std::string_view bytes, const sink& on_event) {
  if (failed_)
    return refuse();
  if (skip_lf_ && !bytes.empty()) {
    skip_lf_ = false;
    if (bytes.front() == '\n')
      bytes.remove_prefix(1);
  }
  line_finder finder{bytes};
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t end = finder.end_of_line(at);
    if (end == std::string_view::npos)
      break;
    const std::string_view part = bytes.substr(at, end - at);
    if (!fits(line_.size() + part.size()))
      return refuse();
    if (line_.empty()) {
      on_line(part, on_event);
    } else {
      line_.append(part);
      on_line(line_, on_event);
      // A data line that was put together here must not be borrowed from here.
      keep_data();
      line_.clear();
    }
    at = end + 1;
    if (bytes[end] == '\r') {
      if (at == bytes.size())
        skip_lf_ = true;
      else if (bytes[at] == '\n')
        ++at;
    }
  }
  if (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    if (!fits(line_.size() + rest.size()))
      return refuse();
    line_.append(rest);
  }
  keep_data();
  return {};
}

bool sse_parser::partial() const noexcept {
  return !line_.empty() || has_data_ || !event_.empty();
}

bool sse_parser::fits(std::size_t line_bytes) const noexcept {
  return line_bytes + data_size() + event_.size() <= event_max_bytes_;
}

expected<void> sse_parser::refuse() {
  failed_ = true;
  // Views into the caller's piece must not outlive it.
  borrowed_ = {};
  return fail(errc::too_large, "an event of the stream is longer than "
                                 + std::to_string(event_max_bytes_) + " bytes");
}

void sse_parser::on_line(std::string_view line, const sink& on_event) {
  if (first_line_ && line.starts_with(byte_order_mark))
    line.remove_prefix(byte_order_mark.size());
  first_line_ = false;
  if (line.empty())
    return dispatch(on_event);
  const std::size_t colon = line.find(':');
  if (colon == 0)
    return; // A comment: servers keep the connection awake with these.
  if (colon == std::string_view::npos)
    return on_field(line, {});
  std::string_view value = line.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  on_field(line.substr(0, colon), value);
}

void sse_parser::on_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    add_data(value);
  } else if (name == "event") {
    event_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos)
      id_ = value;
  } else if (name == "retry") {
    long long ms = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
    if (error == std::errc{} && end == value.data() + value.size() && ms >= 0)
      retry_ms_ = ms;
  }
}

void sse_parser::add_data(std::string_view value) {
  if (!has_data_) {
    has_data_ = true;
    borrowed_ = value;
    return;
  }
  keep_data();
  data_ += '\n';
  data_ += value;
}

void sse_parser::keep_data() {
  if (!borrowed_.empty())
    data_ = borrowed_;
  borrowed_ = {};
}

void sse_parser::dispatch(const sink& on_event) {
  // Of empty data the standard makes no event; some servers keep the connection awake with it.
  const auto data = borrowed_.empty() ? std::string_view{data_} : borrowed_;
  if (!data.empty())
    on_event({event_, data, id_});
  has_data_ = false;
  borrowed_ = {};
  data_.clear();
  event_.clear();
}

} // namespace skep::net
