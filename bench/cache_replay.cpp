// Replays traces of real requests through the store of a cache shard and prints the hit ratios of
// its policies. SKEP_DATA names a folder with traces/web07.trace.xz and traces/web12.trace.xz, of
// the cache2k benchmark (CC BY 4.0): xz, four-byte big-endian keys. They are not part of this
// repository.
#include "runtime/flow/rendezvous.hpp"
#include "runtime/store/response_store.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using namespace skep;
using store::policy_kind;

/// What is published for web12 at 1,000 entries, in percent (S3-FIFO: SOSP 2023's code on it).
constexpr double lru_published = 64.7;
constexpr double s3_fifo_published = 68.8;
constexpr double tolerance = 0.5;

std::vector<std::uint32_t> read_trace(const std::filesystem::path& file) {
  std::vector<std::uint32_t> keys;
  auto* xz = popen(("xz -dc '" + file.string() + "'").c_str(), "r");
  if (xz == nullptr)
    return keys;
  std::array<unsigned char, 4> bytes{};
  while (std::fread(bytes.data(), 1, bytes.size(), xz) == bytes.size()) {
    std::uint32_t key = 0;
    for (const auto each : bytes)
      key = key << 8 | each;
    keys.push_back(key);
  }
  pclose(xz);
  return keys;
}

/// Share of requests that were found, in percent, when every miss is stored.
double hit_ratio(const std::vector<std::uint32_t>& keys, policy_kind policy, std::size_t entries) {
  store::store_config bounds;
  bounds.entries_max = entries;
  bounds.bytes_max = std::size_t{1} << 40;
  bounds.policy = policy;
  const time_point now{};
  store::response_store shard{bounds, now};
  std::size_t hits = 0;
  for (const auto each : keys) {
    const store::key128 key{flow::mix(each, 1), flow::mix(each, 2)};
    if (shard.get(key, now))
      ++hits;
    else
      shard.put(key, "v", std::chrono::hours{24}, now);
  }
  return 100.0 * static_cast<double>(hits) / static_cast<double>(keys.size());
}

bool off(double measured, double published, const char* what) {
  if (std::abs(measured - published) <= tolerance)
    return false;
  std::fprintf(stderr, "web12 at 1000 entries: %s hits %.2f %%, published are %.1f %%\n", what,
               measured, published);
  return true;
}

} // namespace

int main() {
  const char* data = std::getenv("SKEP_DATA");
  if (data == nullptr) {
    std::puts("SKIPPED: SKEP_DATA is not set to a folder with the traces (see this file's head)");
    return 0;
  }
  bool wrong = false;
  std::puts("trace   entries     LRU %  S3-FIFO %");
  for (const char* trace : {"web07", "web12"}) {
    const auto file = std::filesystem::path{data} / "traces" / (std::string{trace} + ".trace.xz");
    const auto keys = read_trace(file);
    if (keys.empty()) {
      std::fprintf(stderr, "%s is missing or no trace\n", file.c_str());
      return 1;
    }
    for (const std::size_t entries : {1000u, 2000u, 4000u}) {
      const auto lru = hit_ratio(keys, policy_kind::lru, entries);
      const auto s3_fifo = hit_ratio(keys, policy_kind::s3_fifo, entries);
      std::printf("%-7s %7zu %9.2f %10.2f\n", trace, entries, lru, s3_fifo);
      if (std::string{trace} == "web12" && entries == 1000)
        wrong = off(lru, lru_published, "LRU") | off(s3_fifo, s3_fifo_published, "S3-FIFO");
    }
  }
  return wrong ? 1 : 0;
}
