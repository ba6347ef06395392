#pragma once

#include "messages/cluster.hpp"
#include "runtime/net/link_core.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace skep::net {

/// Bounds of what strangers may put into a hello, a refusal and a beat.
inline constexpr std::size_t peer_name_bytes_max = 128;
inline constexpr std::size_t peer_address_bytes_max = 256;
inline constexpr std::size_t refusal_text_bytes_max = 512;
inline constexpr std::size_t hello_bytes_max = std::size_t{64} << 10;
inline constexpr std::size_t beat_bytes_max = std::size_t{256} << 10;

/// The hello in a frame's body; nothing when it is none, or its names could not be ours.
std::optional<msg::node_hello> read_hello(std::string_view body);
/// The refusal in a frame's body, its text cut to what a log line bears.
std::optional<msg::node_refusal> read_refusal(std::string_view body);

/// Where the bytes of a hello come from.
struct hello_origin {
  std::uint8_t major = protocol_major;
  /// The name the sender's key belongs to; empty without keys.
  std::string_view key_name;
};

/// Why the sender of this hello can be no peer of ours, whatever else is going on: nothing when it
/// can. The text names both sides' values.
std::optional<msg::node_refusal> examine(const link_config& config, const msg::node_hello& hello,
                                         const hello_origin& origin);

/// A refusal of ours to the life that said hello.
msg::node_refusal make_refusal(const link_config& config, const msg::node_hello& hello,
                               msg::refusal reason, const std::string& what);

} // namespace skep::net
