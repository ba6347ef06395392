#pragma once

#include "messages/cache.hpp"
#include "runtime/base/fnv.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How people name what the cache holds: the agent an entry belongs to, and an entry's key.
namespace skep::actors {

/// The group of an agent's entries, which a clear by agent forgets: FNV-1a of its name, the same on
/// every node. A provider that is asked without an agent has the name "model/PROVIDER". Never 0,
/// which means no group.
constexpr std::uint64_t group_of(std::string_view agent) noexcept {
  const auto hash = fnv1a(agent);
  return hash != 0 ? hash : 1;
}

/// Digits of one half of a key.
inline constexpr std::size_t key_half_digits = 16;

/// A key as x-skep-cache-key shows it: 32 lower-case hexadecimal digits, the high half first.
inline std::string key_text(const msg::cache_key& key) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(2 * key_half_digits, '0');
  for (std::size_t n = 0; n < key_half_digits; ++n) {
    const auto shift = 4 * (key_half_digits - 1 - n);
    text[n] = digits[(key.high >> shift) & 0xf];
    text[key_half_digits + n] = digits[(key.low >> shift) & 0xf];
  }
  return text;
}

/// Reads what key_text() wrote, in either case; nothing when the text is anything else.
inline std::optional<msg::cache_key> parse_key(std::string_view text) {
  if (text.size() != 2 * key_half_digits)
    return std::nullopt;
  const auto half = [](std::string_view digits, std::uint64_t& into) {
    const auto* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, into, 16);
    return read.ec == std::errc{} && read.ptr == end;
  };
  msg::cache_key key;
  if (!half(text.substr(0, key_half_digits), key.high)
      || !half(text.substr(key_half_digits), key.low))
    return std::nullopt;
  return key;
}

} // namespace skep::actors
