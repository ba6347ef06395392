#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <tuple>

namespace skep {

/// Tags at and above this are free for messages of skep's users.
inline constexpr std::uint32_t user_tag_min = 0x8000'0000;

/// A plain struct whose fields one list names (SKEP_RECORD or SKEP_MESSAGE).
template <class T>
concept record = requires(T& x, const T& y) {
  x.fields();
  y.fields();
  { T::field_list } -> std::convertible_to<std::string_view>;
};

/// A record that travels on its own: it has a numeric tag and a version.
template <class T>
concept message = record<T> && requires {
  { T::message_tag } -> std::convertible_to<std::uint32_t>;
  { T::message_version } -> std::convertible_to<std::uint16_t>;
};

namespace msg {

/// Field by field; derived from the one list.
template <record T>
bool operator==(const T& a, const T& b) {
  return a.fields() == b.fields();
}

} // namespace msg

namespace detail {

template <class T>
constexpr std::string_view pretty_name() {
  // gcc:   "constexpr std::string_view skep::detail::pretty_name() [with T = skep::msg::x; ...]"
  // clang: "std::string_view skep::detail::pretty_name() [T = skep::msg::x]"
  std::string_view text = __PRETTY_FUNCTION__;
  const auto from = text.find("T = ") + 4;
  return text.substr(from, text.find_first_of(";]", from) - from);
}

} // namespace detail

/// The type's name without its namespaces, as it stands in schema.json: "chat_request".
template <class T>
constexpr std::string_view message_name() {
  constexpr auto full = detail::pretty_name<T>();
  constexpr auto colon = full.rfind(':');
  return colon == std::string_view::npos ? full : full.substr(colon + 1);
}

} // namespace skep

/// Lists the fields of a struct that only travels inside messages. On the wire it is an array in
/// this order; append only.
#define SKEP_RECORD(...)                                                                           \
  static constexpr std::string_view field_list = #__VA_ARGS__;                                     \
  auto fields() {                                                                                  \
    return std::tie(__VA_ARGS__);                                                                  \
  }                                                                                                \
  auto fields() const {                                                                            \
    return std::tie(__VA_ARGS__);                                                                  \
  }

/// Makes a struct a message: SKEP_MESSAGE(tag, version, fields…). Codec, CAF inspection, equality
/// and schema.json derive from this line. Evolve by appending fields with defaults and raising the
/// version; never reorder, retype or reuse a tag; a new meaning is a new message.
#define SKEP_MESSAGE(tag, version, ...)                                                            \
  static constexpr std::uint32_t message_tag = tag;                                                \
  static constexpr std::uint16_t message_version = version;                                        \
  SKEP_RECORD(__VA_ARGS__)
