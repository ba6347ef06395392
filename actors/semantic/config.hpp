#pragma once

#include "runtime/config/option.hpp"
#include "runtime/store/semantic_policy.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace skep::actors {

enum class semantic_mode : std::uint8_t { shadow, serve };

/// `[semantic.NAME]`: one policy of the semantic cache.
struct semantic_config {
  semantic_mode mode = semantic_mode::shadow;
  double budget_percent = 1.0;
  double similarity_min = 0.9;
  store::guard_rule guard = store::guard_rule::words;
  double explore_percent = 5.0;
  std::uint32_t samples_min = 381;
  std::uint32_t window_max = 1000;
  std::string embedder = "lexical";
  std::chrono::milliseconds embed_timeout{200};
  std::uint32_t batch_max = 16;
  std::chrono::milliseconds batch_wait{5};
  std::uint32_t lookups_max = 1000;
  std::uint64_t entries_max = 100'000;
  std::uint64_t partition_entries_max = 10'000;
  std::uint64_t bytes_max = std::uint64_t{64} << 20;
  std::uint64_t text_max = 2048;
  std::uint32_t revoked_max = 10'000;
  std::chrono::milliseconds ttl{86'400'000};
};

/// Rows and help of `[semantic.NAME]`.
const config::table<semantic_config>& semantic_table();

/// The pure part's configuration.
store::semantic_policy_config policy_of(const semantic_config& from);

} // namespace skep::actors
