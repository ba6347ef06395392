#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace skep {

/// An integer that means one thing only: ids of different kinds do not mix.
template <class Tag, class Rep>
class strong {
public:
  using rep = Rep;

  constexpr strong() = default;
  constexpr explicit strong(Rep value) : value_(value) {}
  constexpr Rep value() const {
    return value_;
  }
  friend constexpr auto operator<=>(strong, strong) = default;

private:
  Rep value_{};
};

/// An actor within one incarnation of its node.
using actor_number = strong<struct actor_number_tag, std::uint64_t>;
/// One life of a node process; a restarted node has another.
using incarnation = strong<struct incarnation_tag, std::uint64_t>;

/// Names one request from the client's connection to the last hop: a UUID of version 7 (RFC 9562),
/// so that ids sort by time.
struct request_id {
  std::array<std::uint8_t, 16> bytes{};

  bool is_nil() const {
    return bytes == std::array<std::uint8_t, 16>{};
  }
  friend auto operator<=>(const request_id&, const request_id&) = default;
};

/// A fresh request id; thread-safe, no lock.
request_id make_request_id();
/// The usual form: 8-4-4-4-12 lower-case hex digits.
std::string to_string(const request_id& id);
/// Reads the usual form; nothing when the text is none.
std::optional<request_id> parse_request_id(std::string_view text);

/// W3C trace context: what `traceparent` carries.
struct trace_context {
  std::array<std::uint8_t, 16> trace{};
  std::array<std::uint8_t, 8> span{};
  std::uint8_t flags = 0;

  bool valid() const;
  friend bool operator==(const trace_context&, const trace_context&) = default;
};

/// "00-<trace>-<span>-<flags>".
std::string to_traceparent(const trace_context& trace);
/// Reads a `traceparent` header; nothing when it is malformed or all zero.
std::optional<trace_context> parse_traceparent(std::string_view header);
/// The same trace with a fresh span id, or a fresh trace when there is none yet.
trace_context child_span(const trace_context& parent);

} // namespace skep

template <class Tag, class Rep>
struct std::hash<skep::strong<Tag, Rep>> {
  std::size_t operator()(skep::strong<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
