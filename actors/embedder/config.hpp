#pragma once

#include "runtime/config/option.hpp"
#include "runtime/flow/batcher.hpp"
#include "runtime/flow/hedge_policy.hpp"

#include <chrono>
#include <cstdint>

namespace skep::actors {

/// Latencies a percentile is taken of.
inline constexpr std::uint32_t hedge_samples_max = 256;

/// `[embeddings]`; the bounds hold per provider.
struct embeddings_config {
  std::uint32_t count_max = 256;
  std::uint64_t batch_max = 256u << 10;
  std::chrono::milliseconds age{5};
  std::uint32_t in_flight_max = 4;
  std::uint32_t queue_max = 10'000;
  std::uint64_t held_max = std::uint64_t{64} << 20;
  std::uint32_t calls_max = 10'000;
  std::uint32_t lines_max = 64;
  bool hedge = true;
  double hedge_percentile = 95.0;
  double hedge_budget_percent = 5.0;
  std::uint32_t hedge_samples_min = 50;
  std::chrono::milliseconds hedge_delay_min{10};
};

/// Rows and help of `[embeddings]`.
const config::table<embeddings_config>& embeddings_table();

/// How the texts of one model are collected.
flow::batcher_config batching_of(const embeddings_config& from);

/// When they are asked for a second time.
flow::hedge_config hedging_of(const embeddings_config& from);

} // namespace skep::actors
