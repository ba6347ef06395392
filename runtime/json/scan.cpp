#include "runtime/json/scan.hpp"

#include "runtime/base/utf8.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace skep::json {

namespace {

static_assert(std::endian::native == std::endian::little, "the first byte of a text is the lowest");

// Eight bytes are looked at together. A byte of the result has its top bit set where the byte of
// the text is a hit; above the lowest hit there may be false ones, so only the lowest is used.
constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t tops = 0x8080808080808080;

constexpr std::uint64_t bytes_below(std::uint64_t eight, unsigned char bound) {
  return (eight - ones * bound) & ~eight & tops;
}
constexpr std::uint64_t bytes_equal(std::uint64_t eight, char wanted) {
  return bytes_below(eight ^ (ones * static_cast<unsigned char>(wanted)), 1);
}
constexpr std::uint64_t quotes_or_escapes(std::uint64_t eight) {
  return bytes_equal(eight, '"') | bytes_equal(eight, '\\');
}

/// Where the first hit from `at` on is. `hits` finds them in eight bytes; the last bytes of a text
/// are filled up with spaces, which are never hits.
template <class Hits>
std::size_t first_hit(std::string_view text, std::size_t at, Hits hits) {
  while (at + 8 <= text.size()) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    if (const auto found = hits(eight); found != 0)
      return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    at += 8;
  }
  if (at >= text.size())
    return text.size();
  std::uint64_t rest = ones * static_cast<unsigned char>(' ');
  std::memcpy(&rest, text.data() + at, text.size() - at);
  const auto found = hits(rest);
  return found == 0 ? text.size() : at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
}

constexpr std::string_view escapes = "\"\\/bfnrt";

/// The length of the escape at `at`, where its backslash is; 0 when it is none.
std::size_t escape_length(std::string_view text, std::size_t at) {
  if (at + 1 < text.size() && escapes.find(text[at + 1]) != std::string_view::npos)
    return 2;
  const int unit = code_unit(text, at);
  if (is_high_surrogate(unit))
    return is_low_surrogate(code_unit(text, at + 6)) ? 12 : 0;
  return unit < 0 || is_low_surrogate(unit) ? 0 : 6;
}

} // namespace

std::size_t mark_length(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
}

std::size_t space_end(std::string_view text, std::size_t at) {
  while (at < text.size()
         && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
    ++at;
  return at;
}

std::size_t quote_or_escape(std::string_view text, std::size_t at) {
  return first_hit(text, at, quotes_or_escapes);
}

std::size_t plain_end(std::string_view text, std::size_t at) {
  return first_hit(text, at, [](std::uint64_t eight) {
    return quotes_or_escapes(eight) | bytes_below(eight, ' ') | (eight & tops);
  });
}

int code_unit(std::string_view text, std::size_t at) {
  constexpr std::size_t length = 6;
  if (at + length > text.size() || text[at] != '\\' || text[at + 1] != 'u')
    return -1;
  unsigned unit = 0;
  const auto* end = text.data() + at + length;
  const auto read = std::from_chars(end - 4, end, unit, 16);
  return read.ec == std::errc{} && read.ptr == end ? static_cast<int>(unit) : -1;
}

string_scan scan_string(std::string_view text, std::size_t at) {
  string_scan scan{at + 1};
  for (;;) {
    scan.end = plain_end(text, scan.end);
    if (scan.end == text.size()) {
      scan.fault = "a string does not end";
      return scan;
    }
    const char stop = text[scan.end];
    if (stop == '"') {
      ++scan.end;
      return scan;
    }
    std::size_t length = 0;
    if (stop == '\\') {
      scan.has_escapes = true;
      length = escape_length(text, scan.end);
      if (length == 0)
        scan.fault = code_unit(text, scan.end) >= 0
                       ? "a string has half of a surrogate pair"
                       : "a string has an escape that JSON does not know";
    } else if (static_cast<unsigned char>(stop) < ' ') {
      scan.fault = "a string has a control character that is not escaped";
    } else {
      length = utf8_sequence(text.substr(scan.end));
      scan.fault = length == 0 ? "a string has a byte that is not UTF-8" : nullptr;
    }
    if (scan.fault != nullptr)
      return scan;
    scan.end += length;
  }
}

} // namespace skep::json
