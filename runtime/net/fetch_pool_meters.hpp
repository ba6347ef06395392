#pragma once

#include "runtime/flow/pool_sizer.hpp"
#include "runtime/telemetry/registry.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace skep::net {

/// What is exported of the pool of one host, or of all hosts that share a series.
struct fetch_pool_meters {
  fetch_pool_meters(telemetry::registry& metrics, const std::string& host);

  const std::string host;
  telemetry::gauge& size;
  telemetry::gauge& used;
  telemetry::gauge& waiting;
  telemetry::counter& grown;
  telemetry::counter& shrunk;
  telemetry::counter& evicted;
  telemetry::histogram& waited;
  /// The moving averages of the demand, in thousandths of a connection.
  std::atomic<std::int64_t> average_milli{0};
  telemetry::registration utilisation;

  /// The moving average as a share of the size; at most 1.
  double utilisation_now() const;
};

/// One host's pool as it is now.
struct fetch_pool_state {
  std::string host;
  std::uint64_t size = 0;
  std::uint64_t in_use = 0;
  std::uint64_t waiting = 0;
  double utilisation = 0;
};

/// One change of a pool's size.
struct fetch_pool_resize {
  std::string host;
  flow::resize step;
};

/// Which hosts have series of their own, and the last changes of all pools. Thread-safe.
class fetch_pool_book {
public:
  /// Hosts with series of their own; further ones count as "other".
  static constexpr std::size_t hosts_max = 128;
  /// Changes that are remembered, of all hosts together.
  static constexpr std::size_t resizes_max = 200;

  explicit fetch_pool_book(telemetry::registry& metrics);

  /// `host` is named in the configuration, so it gets series of its own.
  void name(const std::string& host);
  /// The host's series, or those of all others.
  fetch_pool_meters& meters_of(const std::string& host);
  void add(const std::string& host, const flow::resize& step);

  /// Transfers that wait, at all hosts.
  std::uint64_t waiting() const;
  std::vector<fetch_pool_state> states() const;
  /// The last changes, oldest first.
  std::vector<fetch_pool_resize> resizes() const;

private:
  telemetry::registry& metrics_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<fetch_pool_meters>> named_; // GUARDED_BY(mutex_)
  std::unique_ptr<fetch_pool_meters> others_;
  std::deque<fetch_pool_resize> resizes_; // GUARDED_BY(mutex_)
};

} // namespace skep::net
