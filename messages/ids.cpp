#include "messages/ids.hpp"

#include <chrono>
#include <cstring>
#include <random>
#include <span>

namespace skep {

namespace {

std::uint64_t random_word() {
  // One generator a thread, seeded once from the system's entropy.
  thread_local std::mt19937_64 rng = [] {
    std::random_device entropy;
    std::seed_seq seed{entropy(), entropy(), entropy(), entropy()};
    return std::mt19937_64{seed};
  }();
  return rng();
}

constexpr char hex_digits[] = "0123456789abcdef";

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  for (auto byte : bytes) {
    out += hex_digits[byte >> 4];
    out += hex_digits[byte & 15];
  }
}

int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2)
    return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

template <std::size_t N>
bool all_zero(const std::array<std::uint8_t, N>& bytes) {
  return bytes == std::array<std::uint8_t, N>{};
}

} // namespace

request_id make_request_id() {
  using namespace std::chrono;
  const auto since_epoch = duration_cast<milliseconds>(system_clock::now().time_since_epoch());
  const auto now_ms = static_cast<std::uint64_t>(since_epoch.count());
  const std::uint64_t high = (now_ms << 16) | 0x7000u | (random_word() & 0x0fffu);
  const std::uint64_t low = 0x8000'0000'0000'0000u | (random_word() >> 2);
  request_id id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return id;
}

std::string to_string(const request_id& id) {
  std::string text;
  text.reserve(36);
  const std::span<const std::uint8_t> all{id.bytes};
  append_hex(text, all.subspan(0, 4));
  for (std::size_t from = 4; from < 10; from += 2) {
    text += '-';
    append_hex(text, all.subspan(from, 2));
  }
  text += '-';
  append_hex(text, all.subspan(10, 6));
  return text;
}

std::optional<request_id> parse_request_id(std::string_view text) {
  if (text.size() != 36)
    return std::nullopt;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-'))
      return std::nullopt;
    if (!dash)
      digits += text[i];
  }
  request_id id;
  if (!read_hex(digits, id.bytes))
    return std::nullopt;
  return id;
}

bool trace_context::valid() const {
  return !all_zero(trace) && !all_zero(span);
}

std::string to_traceparent(const trace_context& context) {
  std::string text = "00-";
  append_hex(text, context.trace);
  text += '-';
  append_hex(text, context.span);
  text += '-';
  append_hex(text, std::span{&context.flags, 1});
  return text;
}

std::optional<trace_context> parse_traceparent(std::string_view header) {
  // version(2) - trace(32) - span(16) - flags(2); later versions may append more after another
  // dash.
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return std::nullopt;
  std::uint8_t version = 0;
  trace_context context;
  if (!read_hex(header.substr(0, 2), std::span{&version, 1}) || version == 0xff
      || !read_hex(header.substr(3, 32), context.trace)
      || !read_hex(header.substr(36, 16), context.span)
      || !read_hex(header.substr(53, 2), std::span{&context.flags, 1}))
    return std::nullopt;
  if (version == 0 ? header.size() != 55 : header.size() > 55 && header[55] != '-')
    return std::nullopt;
  if (!context.valid())
    return std::nullopt;
  return context;
}

trace_context child_span(const trace_context& parent) {
  trace_context child = parent;
  const auto fill = [](auto& bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      const auto word = random_word() | 1; // Never all zero.
      std::memcpy(bytes.data() + i, &word, 8);
    }
  };
  if (all_zero(child.trace)) {
    fill(child.trace);
    child.flags = 0;
  }
  fill(child.span);
  return child;
}

} // namespace skep
