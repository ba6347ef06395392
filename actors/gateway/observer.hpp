#pragma once

#include "actors/gateway/session.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/telemetry/registry.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

namespace skep::actors {

/// What the cache did for an answer, in the log and in labels: "hit". A newer peer's: "none".
std::string_view cache_word(msg::cache_status status);

/// What finished requests become: one line in the log and the metrics. Handles are looked up once
/// per series. A provider's model has series of its own once an answer has shown that it exists, up
/// to a bound; before that, and for names clients make up, the provider's count. Thread-safe.
class gateway_observer {
public:
  gateway_observer(telemetry::registry& metrics, std::size_t model_labels_max);
  void operator()(const request_summary& done);

  /// Requests between arrival and end.
  telemetry::gauge& active;
  /// Requests over requests_max.
  telemetry::counter& refused;

private:
  static constexpr int statuses = 600;

  // The series of one name. Durations are told apart by how the request ended.
  struct model_meters {
    std::string name;
    std::array<std::atomic<telemetry::histogram*>, errc_count> durations{};
    telemetry::histogram& first_token;
    telemetry::histogram& input;
    telemetry::histogram& output;
  };

  void count_request(const request_summary& done);
  void count_chat(const request_summary& done);
  model_meters& meters_of(const request_summary& done);
  model_meters& meters_named(const std::string& name);
  bool may_name(const request_summary& done);
  telemetry::histogram& duration_of(model_meters& meters, const request_summary& done);
  void write_line(const request_summary& done) const;

  telemetry::registry& metrics_;
  const std::size_t model_labels_max_;
  telemetry::gauge& model_labels_;
  telemetry::counter& model_labels_refused_;
  telemetry::histogram& overhead_;
  std::array<telemetry::counter*, 7> cache_results_; // By cache_status.
  std::array<std::array<std::atomic<telemetry::counter*>, statuses>, endpoint_count> requests_{};
  spinlock lock_; // Guards what follows; the values of models_ stay where they are.
  std::size_t learned_ = 0;
  std::unordered_map<std::string, std::unique_ptr<model_meters>> models_;
};

} // namespace skep::actors
