#include "runtime/net/link_hello.hpp"

#include "messages/codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace skep::net {

namespace {

constexpr std::size_t speaks_max = 4096;

bool plain(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max
         && std::all_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) > ' ' && c != '\x7f'; });
}

} // namespace

std::optional<msg::node_hello> read_hello(std::string_view body) {
  auto hello = decode<msg::node_hello>(body, {hello_bytes_max, speaks_max, 8});
  if (!hello || !plain(hello->node, peer_name_bytes_max)
      || !plain(hello->address, peer_address_bytes_max)
      || hello->cluster.size() > peer_name_bytes_max || hello->token == 0)
    return std::nullopt;
  return std::move(*hello);
}

std::optional<msg::node_refusal> read_refusal(std::string_view body) {
  auto refusal = decode<msg::node_refusal>(body, {hello_bytes_max, speaks_max, 8});
  if (!refusal || !plain(refusal->node, peer_name_bytes_max))
    return std::nullopt;
  refusal->text.resize(std::min(refusal->text.size(), refusal_text_bytes_max));
  return std::move(*refusal);
}

msg::node_refusal make_refusal(const link_config& config, const msg::node_hello& hello,
                               msg::refusal reason, const std::string& what) {
  return {
    config.node, static_cast<std::uint8_t>(reason),
    fmt::format("node {} refuses node {} at {}: {}", config.node, hello.node, hello.address, what),
    hello.incarnation};
}

std::optional<msg::node_refusal> examine(const link_config& config, const msg::node_hello& hello,
                                         const hello_origin& origin) {
  const auto refuse = [&](msg::refusal reason, const std::string& what) {
    return make_refusal(config, hello, reason, what);
  };
  if (origin.major != protocol_major)
    return refuse(
      msg::refusal::protocol,
      fmt::format("it speaks protocol {}, this node protocol {}", origin.major, protocol_major));
  if (!origin.key_name.empty() && origin.key_name != hello.node)
    return refuse(msg::refusal::key, fmt::format("its key belongs to node {}", origin.key_name));
  if (hello.cluster != config.cluster)
    return refuse(msg::refusal::cluster, fmt::format("it belongs to cluster {}, this node to {}",
                                                     hello.cluster, config.cluster));
  if (hello.config_digest != 0 && config.config_digest != 0
      && hello.config_digest != config.config_digest)
    return refuse(msg::refusal::config,
                  fmt::format("the [cluster] options or node.identity_secret differ: its digest is "
                              "{:016x}, here it is {:016x}; all nodes need the same",
                              hello.config_digest, config.config_digest));
  return std::nullopt;
}

} // namespace skep::net
