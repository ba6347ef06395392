#pragma once

#include "actors/gateway/slo.hpp"
#include "runtime/config/option.hpp"
#include "runtime/config/secret.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skep::actors {

/// What a key is good for.
enum class key_role : std::uint8_t {
  /// Asking models and agents.
  client,
  /// Operating the node as well.
  admin,
};

/// `[[gateway.key]]`: a key clients may come with.
struct gateway_key {
  config::secret key;
  /// Whose requests these are; tenants share no cached answer.
  std::string tenant = "default";
  key_role role = key_role::client;
  /// Patterns of model and agent names; none: all.
  std::vector<std::string> models = {};
};

/// `[gateway]`.
struct gateway_config {
  std::string listen = "127.0.0.1:8080";
  std::uint32_t threads = 1;
  std::uint64_t connections_max = 10'000;
  /// 0: half of connections_max.
  std::uint64_t connections_per_address_max = 0;
  std::uint64_t requests_max = 20'000;
  std::uint64_t body_max = 32u << 20;
  std::uint64_t header_max = 64u << 10;
  std::uint64_t bodies_max = 512u << 20;
  std::uint64_t answers_max = 512u << 20;
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::uint64_t body_rate_min = 1024;
  std::chrono::milliseconds keepalive_timeout{75'000};
  std::chrono::milliseconds write_timeout{30'000};
  std::uint64_t write_rate_min = 1024;
  std::chrono::milliseconds linger_timeout{30'000};
  std::chrono::milliseconds request_timeout{600'000};
  std::chrono::milliseconds stream_idle_timeout{300'000};
  std::uint64_t stream_window = 64u << 10;
  std::string default_provider;
  std::chrono::milliseconds responses_ttl{2'592'000'000};
  std::uint64_t responses_value_max = 4u << 20;
  std::chrono::milliseconds responses_timeout{2'000};
  /// Who answers a prompt that names nobody.
  std::string default_agent;
  bool compression = true;
  std::uint64_t compression_min = 1000;
  std::uint64_t compression_max = 4u << 20;
  std::uint32_t compression_level = 3;
  slo_config slo;
  std::vector<std::string> hosts;
  std::vector<std::string> cors_origins;
  std::vector<gateway_key> keys;
};

/// `[admin]`: a listener of its own for what operates the node.
struct admin_config {
  /// Empty: the clients' listener serves operations, too.
  std::string listen;
  std::uint64_t connections_max = 64;
};

/// Rows and help of `[gateway]`.
const config::table<gateway_config>& gateway_table();
/// Rows and help of `[admin]`.
const config::table<admin_config>& admin_table();
/// One key has one tenant, and a listener for operations that other machines reach needs a key of
/// an administrator. Keys of what is found are paths from the top.
std::vector<config::violation> check_access(const gateway_config& clients,
                                            const admin_config& operations);

/// "127.0.0.1:8080" or "[::1]:8080" as address and port; nothing when it reads otherwise.
std::optional<std::pair<std::string, std::uint16_t>> split_listen(const std::string& listen);

} // namespace skep::actors
