#include "runtime/json/string.hpp"

#include "runtime/base/utf8.hpp"
#include "runtime/json/scan.hpp"

#include <algorithm>

namespace skep::json {

namespace {

// Letters of the short escapes and the characters they stand for, in the same order.
constexpr std::string_view escape_letters = "\"\\/bfnrt";
constexpr std::string_view escape_meanings = "\"\\/\b\f\n\r\t";

void append_escape(std::string& out, char control) {
  constexpr std::string_view hex_digits = "0123456789abcdef";
  const auto known = escape_meanings.find(control);
  out += '\\';
  if (known != std::string_view::npos) {
    out += escape_letters[known];
    return;
  }
  const auto byte = static_cast<unsigned char>(control);
  out += "u00";
  out += hex_digits[byte >> 4];
  out += hex_digits[byte & 15];
}

void append_utf8(std::string& out, unsigned code) {
  const auto byte = [&out](unsigned value) { out += static_cast<char>(value); };
  const auto tail = [&](int shift) { byte(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    byte(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Appends what the escape at `at` stands for; how long the escape is. scan_string() has seen it.
std::size_t append_unescaped(std::string& out, std::string_view text, std::size_t at) {
  if (text[at + 1] != 'u') {
    out += escape_meanings[escape_letters.find(text[at + 1])];
    return 2;
  }
  const auto unit = code_unit(text, at);
  if (!is_high_surrogate(unit)) {
    append_utf8(out, static_cast<unsigned>(unit));
    return 6;
  }
  const auto low = code_unit(text, at + 6);
  append_utf8(out, 0x10000u + (static_cast<unsigned>(unit - 0xD800) << 10)
                     + static_cast<unsigned>(low - 0xDC00));
  return 12;
}

} // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const auto end = plain_end(text, at);
    out += text.substr(at, end - at);
    at = end;
    if (at == text.size())
      break;
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      append_escape(out, text[at]);
      ++at;
      continue;
    }
    const auto length = utf8_sequence(text.substr(at));
    out += length == 0 ? std::string_view{"\xEF\xBF\xBD"} : text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  out += '"';
}

std::string quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

std::optional<std::string> string_of(std::string_view value) {
  if (!value.starts_with('"'))
    return std::nullopt;
  const auto scan = scan_string(value, 0);
  if (scan.fault != nullptr || scan.end != value.size())
    return std::nullopt;
  const auto text = value.substr(1, value.size() - 2);
  if (!scan.has_escapes)
    return std::string{text};
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\\', at), text.size());
    out += text.substr(at, end - at);
    at = end;
    if (at < text.size())
      at += append_unescaped(out, text, at);
  }
  return out;
}

} // namespace skep::json
