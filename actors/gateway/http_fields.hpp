#pragma once

#include "messages/chat.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// What a request says outside of its body. Pure; nothing here fails, the worst field says nothing.
namespace skep::actors {

/// Text with every %XX as the byte it stands for; what is no escape stays as it is.
std::string percent_decoded(std::string_view text);
/// The value of NAME in "a=b&NAME=value", decoded ('+' is a space); empty when there is none.
std::string query_value(std::string_view query, std::string_view name);

/// Cache-Control of a request (RFC 9111).
struct cache_wish {
  msg::cache_mode mode = msg::cache_mode::use;
  /// 0: no limit.
  std::uint32_t age_max_s = 0;
};
cache_wish read_cache_control(std::string_view header);

/// The token of "Bearer TOKEN"; empty when the header reads otherwise.
std::string_view bearer_token(std::string_view authorization);
/// Compares in a time that does not depend on where the texts differ.
bool same_secret(std::string_view a, std::string_view b);

} // namespace skep::actors
