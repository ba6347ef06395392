#pragma once

#include "runtime/config/schema.hpp"

#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// A schema with a field of every kind, for the tests of this folder and the fuzzer.
namespace skep::config::sample {

using namespace std::chrono_literals;

struct node_config {
  std::string name = "skep";
  std::uint32_t threads = 2;
  double load_max = 0.9;
  bool force_wire = false;
  std::vector<secret> api_keys;
  std::string etcd_url;
};

enum class policy : std::uint8_t { s3fifo, lru };

struct disk_config {
  std::string path;
  std::uint64_t capacity_bytes = 1u << 20;
};

struct cache_config {
  policy evict = policy::s3fifo;
  std::chrono::milliseconds ttl = 60s;
  std::chrono::milliseconds ttl_max = 1h;
  std::size_t capacity_bytes = 64u << 20;
  disk_config disk;
};

struct agent_config {
  std::string instructions;
  std::string model;
  std::optional<double> temperature;
  std::optional<std::uint32_t> tokens_max;
  std::vector<std::string> providers{"simulated"};
  std::map<std::string, std::string> labels;
  std::chrono::seconds deadline = 30s;
};

struct provider_config {
  std::string base_url = "http://127.0.0.1:9000/v1";
  std::string region;
  secret api_key;
  std::vector<disk_config> disks;
  std::optional<disk_config> spill;
};

inline table<node_config> node_options() {
  return {
    option{"name", &node_config::name, "What this node is called in logs."},
    option{"threads", &node_config::threads, 1u, 256u, "Threads that run actors."},
    option{"load_max", &node_config::load_max, 0.0, 1.0, "Above this share of the CPU, refuse."},
    option{"force_wire", &node_config::force_wire, "Send every hop over ZeroMQ."},
    option{"api_keys", &node_config::api_keys, "Bearer keys clients may use."},
    option{"etcd_url", &node_config::etcd_url, "Where etcd listens."}.alias_env("ETCD_URL"),
  };
}

inline table<disk_config> disk_options() {
  return {
    option{"path", &disk_config::path, "The folder."},
    option{"capacity_bytes", &disk_config::capacity_bytes, std::uint64_t{1},
           std::numeric_limits<std::uint64_t>::max(), "How much it may hold."},
  };
}

inline table<cache_config> cache_options() {
  return table<cache_config>{
    option{"policy",
           &cache_config::evict,
           {{"s3fifo", policy::s3fifo}, {"lru", policy::lru}},
           "Who is forgotten first."},
    option{"ttl_ms", &cache_config::ttl, 1ms, 24h, "How long an answer is kept."}.alias_env(
      "CACHE_TTL", 1000),
    option{"ttl_max_ms", &cache_config::ttl_max, 1ms, 24h, "The longest a client may ask for."},
    option{"capacity_bytes", &cache_config::capacity_bytes, std::size_t{1024}, std::size_t{1} << 40,
           "How much it may hold."},
    option{"disk", &cache_config::disk, disk_options(), "The tier below memory."},
  }
    .check([](const cache_config& c) -> std::optional<violation> {
      if (c.ttl > c.ttl_max)
        return violation{"ttl_ms", "ttl_ms must not exceed ttl_max_ms"};
      return std::nullopt;
    });
}

inline table<agent_config> agent_options() {
  return {
    option{"instructions", &agent_config::instructions, "The system prompt."},
    option{"model", &agent_config::model, "The model it asks."}.required(),
    option{"temperature", &agent_config::temperature, 0.0, 2.0, "Left to the provider if not set."},
    option{"tokens_max", &agent_config::tokens_max, 1u, 1'000'000u, "Of one answer."},
    option{"providers", &agent_config::providers, "Asked in this order."},
    option{"labels", &agent_config::labels, "Shown with its metrics."},
    option{"deadline_s", &agent_config::deadline, 1s, 1h, "For one answer."},
  };
}

inline table<provider_config> provider_options() {
  return {
    option{"base_url", &provider_config::base_url, "Up to and without /chat/completions."},
    option{"region", &provider_config::region, "Sent as x-region."},
    option{"api_key", &provider_config::api_key, "Its key."},
    option{"disks", &provider_config::disks, disk_options(), "Where it keeps models."},
    option{"spill", &provider_config::spill, disk_options(), "Where it spills, if anywhere."},
  };
}

inline schema sections() {
  schema s;
  s.section("node", cardinality::one, node_options(), "The node as a whole.");
  s.section("cache", cardinality::one, cache_options(), "The response cache.");
  s.section("agent", cardinality::named, agent_options(), "An agent; NAME is its model name.");
  s.section("provider", cardinality::many, provider_options(), "A provider of models.");
  s.rule([](const document& doc) {
    std::vector<violation> found;
    for (const auto& [name, agent] : doc.all<agent_config>("agent"))
      if (agent.model == "nowhere")
        found.push_back(
          {join_path("agent." + key_text(name), "model"), "no provider has the model \"nowhere\""});
    return found;
  });
  return s;
}

} // namespace skep::config::sample
