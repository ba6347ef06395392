#pragma once

#include <cstdint>
#include <string_view>

namespace skep {

/// FNV-1a (Fowler, Noll, Vo), 64 bits, optionally on top of what was hashed before. The same on
/// every machine and in every release; not for secrets nor against those who choose the text.
constexpr std::uint64_t fnv1a(std::string_view text,
                              std::uint64_t before = 0xcbf2'9ce4'8422'2325) noexcept {
  for (const char each : text)
    before = (before ^ static_cast<unsigned char>(each)) * 0x0000'0100'0000'01b3;
  return before;
}

} // namespace skep
