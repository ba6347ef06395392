#include "runtime/config/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace skep::config {

namespace {

/// Edits (insert, remove, replace) between two words, by the two-row form of Wagner and Fischer.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> previous(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  std::vector<std::size_t> current(b.size() + 1);
  for (std::size_t i = 0; i < a.size(); ++i) {
    current[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      auto replaced = previous[j] + (a[i] == b[j] ? 0u : 1u);
      current[j + 1] = std::min({previous[j + 1] + 1, current[j] + 1, replaced});
    }
    std::swap(previous, current);
  }
  return previous.back();
}

bool bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
           || c == '-';
  });
}

} // namespace

diagnostic::diagnostic(const place& at, std::string what)
  : file(at.file), line(at.line), column(at.column), message(std::move(what)) {}

std::string place_text(const diagnostic& d) {
  return fmt::format("{}:{}:{}", d.file, d.line, d.column);
}

std::string to_string(const diagnostic& d) {
  return place_text(d) + ": " + d.message;
}

std::string to_string(const diagnostics& all) {
  std::string text;
  for (const auto& d : all)
    text += to_string(d) + "\n";
  return text;
}

failure to_failure(const diagnostics& all) {
  auto text = to_string(all);
  if (!text.empty())
    text.pop_back();
  return failure{errc::bad_config, std::move(text)};
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  const auto allowed = 1 + word.size() / 3;
  auto best = allowed + 1;
  std::optional<std::string> found;
  for (const auto& candidate : candidates) {
    // The distance is at least the difference in length: a very long word costs nothing here.
    if (std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size()) >= best)
      continue;
    if (auto distance = edit_distance(word, candidate); distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

bool is_utf8(std::string_view text) noexcept {
  // The smallest code point that needs this many continuation bytes.
  constexpr std::uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80)
      continue;
    if (lead < 0xc0 || lead > 0xf4)
      return false;
    const std::size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (text.size() - i < more)
      return false;
    std::uint32_t point = lead & (0x3fu >> more);
    for (std::size_t k = 0; k < more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i++]);
      if ((byte & 0xc0u) != 0x80u)
        return false;
      point = point << 6 | (byte & 0x3fu);
    }
    if (point < smallest[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      return false;
  }
  return true;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7f)
          out += fmt::format("\\u{:04X}", byte);
        else
          out += c;
    }
  }
  return out + "\"";
}

std::string quoted_short(std::string_view text) {
  if (text.size() <= 64)
    return quoted(text);
  auto end = std::size_t{64};
  // Not in the middle of a UTF-8 sequence: continuation bytes are 10xxxxxx.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u)
    --end;
  return quoted(text.substr(0, end)) + "...";
}

std::string key_text(std::string_view key) {
  return bare(key) ? std::string{key} : quoted(key);
}

std::string join_path(std::string_view path, std::string_view key) {
  return path.empty() ? key_text(key) : fmt::format("{}.{}", path, key_text(key));
}

} // namespace skep::config
