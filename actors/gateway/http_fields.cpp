#include "actors/gateway/http_fields.hpp"

#include "runtime/base/text.hpp"
#include "runtime/net/http_message.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace skep::actors {

namespace {

/// The byte that two hexadecimal digits spell; nothing when they are none.
std::optional<char> byte_of(std::string_view digits) {
  std::uint8_t value = 0;
  const auto* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, value, 16);
  return digits.size() == 2 && read.ptr == end ? std::optional{static_cast<char>(value)}
                                               : std::nullopt;
}

/// A number of seconds; what is too large for us is as good as the largest.
std::uint32_t seconds_of(std::string_view number) {
  std::uint32_t value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  return read.ec == std::errc::result_out_of_range ? ~std::uint32_t{0} : value;
}

} // namespace

// -- queries --------------------------------------------------------------------------------------

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto escaped = text[at] == '%' ? byte_of(text.substr(at + 1, 2)) : std::nullopt;
    decoded += escaped.value_or(text[at]);
    at += escaped ? 2 : 0;
  }
  return decoded;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = next_of(query, '&');
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=')
      continue;
    std::string value{pair.substr(name.size() + 1)};
    std::replace(value.begin(), value.end(), '+', ' ');
    return percent_decoded(value);
  }
  return {};
}

// -- header fields --------------------------------------------------------------------------------

cache_wish read_cache_control(std::string_view header) {
  constexpr std::string_view age = "max-age=";
  cache_wish wish;
  while (!header.empty()) {
    const auto directive = trimmed(next_of(header, ','));
    const bool limits_age = directive.size() > age.size()
                            && net::equal_ignoring_case(directive.substr(0, age.size()), age);
    if (limits_age)
      wish.age_max_s = seconds_of(directive.substr(age.size()));
    if (net::equal_ignoring_case(directive, "no-store"))
      wish.mode = msg::cache_mode::off;
    // Nothing cached is younger than no age at all.
    const bool fresh
      = net::equal_ignoring_case(directive, "no-cache") || (limits_age && wish.age_max_s == 0);
    if (fresh && wish.mode == msg::cache_mode::use)
      wish.mode = msg::cache_mode::refresh;
  }
  return wish;
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  if (authorization.size() <= scheme.size()
      || !net::equal_ignoring_case(authorization.substr(0, scheme.size()), scheme))
    return {};
  return trimmed(authorization.substr(scheme.size()));
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace skep::actors
