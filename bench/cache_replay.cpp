// Replays recorded requests against the eviction policies: skep_cache_replay [--json].

#include "bench/measure.hpp"
#include "bench/replay.hpp"
#include "bench/replay_policies.hpp"

#include <array>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace skep;
using namespace skep::bench;

constexpr std::size_t columns = 5;
constexpr std::array<const char*, columns> column_names{"LRU", "S3-FIFO", "SIEVE", "W-TinyLFU",
                                                        "OPT"};
// The published ratios are of the last one.
constexpr std::array<std::string_view, 2> traces{"web07", "web12"};
constexpr std::array<std::size_t, 3> sizes{1000, 2000, 4000};

struct named_policy {
  const char* name;
  store::policy_kind kind;
};
constexpr named_policy priced_policies[] = {{"LRU", store::policy_kind::lru},
                                            {"S3-FIFO", store::policy_kind::s3_fifo},
                                            {"cost-aware", store::policy_kind::cost_aware}};

template <class Policy>
double hit_percent(std::span<const std::uint32_t> keys, std::size_t entries_max) {
  Policy policy{entries_max};
  std::size_t hits = 0;
  for (const auto key : keys)
    hits += policy.ask(key) ? 1 : 0;
  return 100.0 * static_cast<double>(hits) / static_cast<double>(keys.size());
}

std::array<double, columns> measure(std::span<const std::uint32_t> keys, std::size_t entries) {
  return {store_hit_percent(keys, store::policy_kind::lru, entries),
          store_hit_percent(keys, store::policy_kind::s3_fifo, entries),
          hit_percent<sieve>(keys, entries), hit_percent<w_tiny_lfu>(keys, entries),
          100.0 * static_cast<double>(optimal_hits(keys, entries))
            / static_cast<double>(keys.size())};
}

void show(std::string_view trace_name, std::size_t entries,
          const std::array<double, columns>& percent, bool json) {
  const std::string name{trace_name};
  if (!json)
    std::printf("%-6s %8zu", name.c_str(), entries);
  for (std::size_t n = 0; n < columns; ++n)
    if (json)
      print("hits, " + name + ", " + std::to_string(entries) + " entries, " + column_names[n], "%",
            {percent[n]});
    else
      std::printf(" %10.2f", percent[n]);
  if (!json)
    std::printf("\n");
}

void show_savings(std::string_view trace_name, std::span<const std::uint32_t> keys, bool json) {
  const std::string name{trace_name};
  for (const std::size_t mib : {1u, 4u}) {
    for (const auto& [label, policy] : priced_policies) {
      const auto got = store_savings(keys, policy, mib << 20);
      if (json) {
        const auto what = ", " + name + ", " + std::to_string(mib) + " MiB, " + label;
        print("cost saved" + what, "%", {got.cost_percent});
        print("hits with costs" + what, "%", {got.hits_percent});
      } else {
        std::printf("%-6s %5zu MiB  %-10s %10.2f %10.2f\n", name.c_str(), mib, label,
                    got.hits_percent, got.cost_percent);
      }
    }
  }
}

/// Says which of the node's policies is off its published ratio; true when none is.
bool all_as_published(const trace& web12) {
  bool good = true;
  for (const auto& reference : published) {
    const auto percent = store_hit_percent(web12, reference.policy, 1000);
    if (as_published(reference, percent))
      continue;
    good = false;
    std::fprintf(stderr, "OFF: %.*s has %.2f %% on web12 with 1000 entries, published %.1f-%.1f\n",
                 static_cast<int>(reference.name.size()), reference.name.data(), percent,
                 reference.least, reference.most);
  }
  return good;
}

} // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view{argv[1]} == "--json";
  if (!json) {
    std::printf("hits in percent\n%-6s %8s", "trace", "entries");
    for (const auto* name : column_names)
      std::printf(" %10s", name);
    std::printf("\n");
  }
  std::vector<trace> all;
  for (const auto name : traces) {
    const auto keys = read_trace(trace_folder(), name);
    if (!keys) {
      std::fprintf(stderr, "%s\n", keys.error().detail.c_str());
      return 1;
    }
    for (const auto entries : sizes)
      show(name, entries, measure(*keys, entries), json);
    all.push_back(*keys);
  }
  if (!json)
    std::printf("\nwith sizes and costs drawn (bench/replay.hpp), in percent\n%-6s %9s  %-10s %10s "
                "%10s\n",
                "trace", "bytes", "policy", "hits", "cost saved");
  for (std::size_t n = 0; n < traces.size(); ++n)
    show_savings(traces[n], all[n], json);
  return all_as_published(all.back()) ? 0 : 1;
}
