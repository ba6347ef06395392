#include "runtime/net/http_message.hpp"

#include <algorithm>

namespace skep::net {

namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// RFC 9110 section 5.6.2.
constexpr bool is_token_char(char c) noexcept {
  const bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
  return alphanumeric
         || (c != '\0' && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos);
}

} // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lower(x) == lower(y);
         });
}

http_headers::http_headers(
  std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  for (const auto& [name, value] : fields)
    add(name, value);
}

void http_headers::add(std::string_view name, std::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_char))
    return;
  field f{};
  f.name_at = static_cast<std::uint32_t>(block_.size());
  f.name_size = static_cast<std::uint32_t>(name.size());
  block_.append(name).append(": ");
  f.value_at = static_cast<std::uint32_t>(block_.size());
  f.value_size = static_cast<std::uint32_t>(value.size());
  block_.append(value);
  std::replace_if(block_.begin() + f.value_at, block_.end(), is_control, ' ');
  block_.append("\r\n");
  fields_.push_back(f);
}

std::string_view http_headers::get(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < fields_.size(); ++i)
    if (equal_ignoring_case(this->name(i), name))
      return value(i);
  return {};
}

bool http_headers::contains(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < fields_.size(); ++i)
    if (equal_ignoring_case(this->name(i), name))
      return true;
  return false;
}

std::string_view http_headers::name(std::size_t index) const noexcept {
  const auto& f = fields_[index];
  return std::string_view{block_}.substr(f.name_at, f.name_size);
}

std::string_view http_headers::value(std::size_t index) const noexcept {
  const auto& f = fields_[index];
  return std::string_view{block_}.substr(f.value_at, f.value_size);
}

} // namespace skep::net
