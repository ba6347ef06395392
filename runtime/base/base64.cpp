#include "runtime/base/base64.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace skep {

namespace {

// EVP counts in int.
constexpr std::size_t bytes_max = std::size_t{1} << 30;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

} // namespace

std::string to_base64(std::string_view bytes) {
  // A part that ends where three bytes do needs no padding; EVP ends what it writes with a zero.
  constexpr std::size_t part = 3 << 20;
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  std::size_t written = 0;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(part, bytes.size())))
    written += static_cast<std::size_t>(EVP_EncodeBlock(
      bytes_of(text) + written, bytes_of(bytes), static_cast<int>(std::min(part, bytes.size()))));
  text.resize(written);
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  const auto padding = text.size() - std::min(text.find_last_not_of('=') + 1, text.size());
  // EVP takes white space around the text, padding anywhere in it, and counts it as bytes.
  if (text.size() % 4 != 0 || padding > 2 || text.size() > bytes_max
      || text.find('=') < text.size() - padding)
    return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const auto length
    = EVP_DecodeBlock(bytes_of(bytes), bytes_of(text), static_cast<int>(text.size()));
  if (length < 0 || static_cast<std::size_t>(length) != bytes.size())
    return std::nullopt;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

} // namespace skep
