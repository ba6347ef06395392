#pragma once

#include "runtime/store/semantic_policy.hpp"
#include "runtime/telemetry/registry.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace skep::actors {

/// What the semantic cache shows of one policy.
class semantic_meters {
public:
  semantic_meters(telemetry::registry& metrics, const std::string& policy);

  /// Shows how the policy stands; called after each change.
  void show(const store::semantic_policy& policy);

  telemetry::counter& finds;
  telemetry::counter& candidates;
  telemetry::counter& served;
  telemetry::counter& right;
  telemetry::counter& wrong;
  /// Texts too long, or over lookups_max.
  telemetry::counter& refused;
  telemetry::counter& embed_failures;

private:
  // Read by the collecting thread.
  struct shares {
    std::atomic<double> ratio{0};
    std::atomic<double> bound{1};
  };

  telemetry::counter& evicted_;
  telemetry::counter& index_refused_;
  telemetry::counter& guarded_;
  telemetry::gauge& serving_;
  telemetry::gauge& samples_;
  telemetry::gauge& entries_;
  telemetry::gauge& partitions_;
  telemetry::gauge& bytes_;
  store::index_stats shown_;
  std::shared_ptr<shares> shares_ = std::make_shared<shares>();
  telemetry::registration ratio_;
  telemetry::registration bound_;
};

} // namespace skep::actors
