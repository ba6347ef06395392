#include "runtime/json/repair.hpp"

#include "runtime/base/utf8.hpp"
#include "runtime/json/scan.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace skep::json {

namespace {

constexpr auto none = std::string_view::npos;
constexpr std::size_t unit_length = 6; // "\uXXXX".

bool is_continuation(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u;
}

/// What a piece of a text is of a character.
enum class part : std::uint8_t { whole, first_half, second_half, nothing };

struct unit {
  std::size_t length = 1;
  part of = part::whole;
};

/// The escape that begins at `at`.
unit escape_at(std::string_view text, std::size_t at) {
  const auto code = code_unit(text, at);
  if (code < 0)
    return {std::min<std::size_t>(2, text.size() - at)};
  if (is_low_surrogate(code))
    return {unit_length, part::second_half};
  if (!is_high_surrogate(code))
    return {unit_length};
  if (is_low_surrogate(code_unit(text, at + unit_length)))
    return {2 * unit_length};
  return {unit_length, part::first_half};
}

/// The bytes outside of ASCII that begin at `at`: a character, or the beginning of one.
unit bytes_at(std::string_view text, std::size_t at) {
  constexpr std::size_t sequence_max = 4;
  if (const auto length = utf8_sequence(text.substr(at)); length > 0)
    return {length};
  if (is_continuation(text, at))
    return {1, part::second_half};
  constexpr unsigned char lead_min = 0xC2;
  if (static_cast<unsigned char>(text[at]) < lead_min)
    return {1, part::nothing};
  std::size_t length = 1;
  while (length < sequence_max - 1 && is_continuation(text, at + length))
    ++length;
  return {length, part::first_half};
}

unit unit_at(std::string_view text, std::size_t at) {
  if (text[at] == '\\')
    return escape_at(text, at);
  return static_cast<unsigned char>(text[at]) < 0x80 ? unit{} : bytes_at(text, at);
}

/// Where a text has halves that its neighbours may complete.
struct halves {
  std::size_t leading = none;  // Of a second half that begins a string.
  std::size_t trailing = none; // Of a first half that ends one.
  std::size_t trailing_length = 0;
};

halves halves_of(std::string_view text) {
  halves found;
  bool in_string = false;
  bool begins = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      begins = in_string = !in_string;
      ++at;
      continue;
    }
    const auto next = in_string ? unit_at(text, at) : unit{};
    if (next.of == part::second_half && begins && found.leading == none)
      found.leading = at;
    const auto end = at + next.length;
    if (next.of == part::first_half && end < text.size() && text[end] == '"'
        && found.trailing == none) {
      found.trailing = at;
      found.trailing_length = next.length;
    }
    begins = false;
    at = end;
  }
  return found;
}

} // namespace

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto next = unit_at(text, at);
    if (next.of == part::whole)
      out += text.substr(at, next.length);
    else
      out += "\xEF\xBF\xBD";
    at += next.length;
  }
  return out;
}

std::vector<std::string> stream_repair::add(std::string_view text) {
  std::vector<std::string> ready;
  std::string now{text};
  auto found = halves_of(now);
  if (auto before = std::exchange(held_, std::nullopt)) {
    const auto first = before->text.substr(before->at, before->length);
    // Escapes belong to escapes, bytes to bytes.
    if (found.leading != none && (now[found.leading] == '\\') == (first.front() == '\\')) {
      before->text.erase(before->at, before->length);
      now.insert(found.leading, first);
      found = halves_of(now);
    }
    ready.push_back(repaired(before->text));
  }
  if (found.trailing != none)
    held_ = half{std::move(now), found.trailing, found.trailing_length};
  else
    ready.push_back(repaired(now));
  return ready;
}

std::optional<std::string> stream_repair::finish() {
  const auto last = std::exchange(held_, std::nullopt);
  return last ? std::optional{repaired(last->text)} : std::nullopt;
}

} // namespace skep::json
