#include "runtime/base/utf8.hpp"

namespace skep {

namespace {

bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u;
}

/// The length a lead byte announces; 0 for bytes that lead nothing.
std::size_t announced_length(unsigned char lead) noexcept {
  if (lead < 0x80)
    return 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    return 2;
  if (lead >= 0xE0 && lead <= 0xEF)
    return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/// RFC 3629, section 4: after these leads the second byte has a narrower range.
bool second_byte_fits(unsigned char lead, unsigned char second) noexcept {
  switch (lead) {
    case 0xE0: return second >= 0xA0;
    case 0xED: return second <= 0x9F;
    case 0xF0: return second >= 0x90;
    case 0xF4: return second <= 0x8F;
    default: return true;
  }
}

} // namespace

std::size_t utf8_sequence(std::string_view text) noexcept {
  if (text.empty())
    return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  const auto length = announced_length(lead);
  if (length <= 1 || length > text.size())
    return length == 1 ? 1 : 0;
  if (!second_byte_fits(lead, static_cast<unsigned char>(text[1])))
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(text[i]))
      return 0;
  return length;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max)
    return text;
  // A sequence has at most three continuation bytes; more than that is not text anyway.
  auto cut = bytes_max;
  for (int back = 0; back < 3 && cut > 0 && is_continuation(text[cut]); ++back)
    --cut;
  return text.substr(0, cut);
}

std::string utf8_repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    if (length == 0)
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

} // namespace skep
