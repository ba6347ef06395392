#pragma once

#include "runtime/config/option.hpp"

#include <chrono>
#include <cstdint>

namespace skep::actors {

/// Bounds of one pool.
struct pool_config {
  /// Idle instances kept however long nobody asks.
  std::uint32_t idle_min = 4;
  /// Instances at once, each at work for one call; further calls that need one are refused.
  std::uint32_t size_max = 1024;
  /// Calls let in beyond it until it is known whether they need an instance of their own.
  std::uint32_t overflow_max = 16'384;
  /// An instance idle for longer is ended, the least recently used first.
  std::chrono::milliseconds idle_ttl{60'000};
  /// Start idle_min instances with the pool instead of with the first calls.
  bool warm_up = true;
  /// What a refused caller is told to wait.
  std::chrono::milliseconds retry_after{250};
};

const config::table<pool_config>& pool_table();

} // namespace skep::actors
