#pragma once

#include "runtime/config/document.hpp"
#include "runtime/config/option.hpp"
#include "runtime/config/schema.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace skep::rt {

/// The back ends of membership.
enum class membership_kind : std::uint8_t { fixed, etcd };

/// `[cluster.etcd]`.
struct etcd_options {
  std::vector<std::string> endpoints{"http://127.0.0.1:2379"};
  std::chrono::seconds ttl{4};
  std::chrono::milliseconds request_timeout{2'000};
};

/// `[cluster]`; without a name the node is on its own.
struct cluster_options {
  std::string name;
  std::string listen = "tcp://127.0.0.1:7400";
  std::string advertise;
  std::vector<std::string> seeds;
  membership_kind membership = membership_kind::fixed;
  std::uint32_t replicas = 2;
  std::uint32_t weight = 1;
  std::string data_dir = ".skep";
  bool plain = false;
  config::secret secret_key;
  std::vector<std::string> public_keys;
  std::chrono::milliseconds beat_interval{250};
  double phi_max = 8.0;
  std::chrono::milliseconds pause_max{1'000};
  std::chrono::milliseconds lease{1'500};
  std::uint64_t queue_bytes_max = std::uint64_t{64} << 20;
  std::uint32_t queue_messages_max = 1u << 20;
  std::uint32_t window_bytes = 8u << 20;
  std::uint64_t message_bytes_max = std::uint64_t{64} << 20;
  std::uint32_t peers_max = 128;
  std::uint32_t local_in_flight_max = 256;
  etcd_options etcd;
};

/// Adds `[cluster]` to what a configuration may have.
void declare_cluster(config::schema& accepted);

/// "a=tcp://…" as name and value, of `seeds` and `public_keys`; checked by the loader.
std::pair<std::string, std::string> split_entry(const std::string& entry);

/// Hash of the options all nodes of a cluster must agree on: name, membership, names of the seeds,
/// replicas, lease, and `identity`, the fingerprint of the secret that keys their requests (0: none
/// is configured). Never 0.
std::uint64_t digest_of(const cluster_options& options, std::uint64_t identity = 0);

/// The address stands for this machine only.
bool is_loopback(const std::string& address);

} // namespace skep::rt
