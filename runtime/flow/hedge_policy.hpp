#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/retry_budget.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace skep::flow {

/// When a call is asked a second time.
struct hedge_config {
  double percentile = 95.0;        ///< Of recent latencies: slower calls are hedged; (0, 100).
  double budget_ratio = 0.05;      ///< Second calls per first call of the budget's window.
  duration budget_window = 60s;    ///< How far back the budget looks.
  std::uint32_t samples_min = 50;  ///< With fewer latencies of a size nothing is hedged.
  std::uint32_t samples_max = 256; ///< Latencies kept per size.
  duration delay_min = 1ms;        ///< No second call sooner than this.
};

/// Decides when to ask a slow upstream a second time and take whichever answer comes first
/// ("hedged requests": Dean and Barroso, The Tail at Scale, CACM 2013): after the given percentile
/// of recent latencies, once per call, and never for more than a share of all calls. When
/// everything has become slow the budget keeps it from doubling the load. Latencies are kept by the
/// size of the call, in steps of four: a large call is no straggler for being slower than a small
/// one. Not thread-safe.
class hedge_policy {
public:
  explicit hedge_policy(hedge_config config = {});

  /// A first call goes out: it earns the budget its share.
  void on_call(time_point now);

  /// How long a call of this size (bytes, or any other measure) waits before it is hedged; nothing
  /// while too little is known. The percentile is exact over the samples kept.
  [[nodiscard]] std::optional<duration> delay(std::uint64_t size) const;

  /// Takes one second call out of the budget; false when it is spent, then the first one stands.
  [[nodiscard]] bool try_hedge(time_point now);

  /// A call of this size was answered after so long, counted from its first call whichever one was
  /// answered: a straggler is known to be at least as slow, which is all that the percentile needs.
  void on_latency(std::uint64_t size, duration latency);

  /// Second calls the budget refused since it was made.
  [[nodiscard]] std::uint64_t refusals() const {
    return budget_.refusals();
  }

private:
  struct samples {
    std::vector<duration> latest; // A ring once samples_max are there.
    std::size_t next = 0;
  };
  static constexpr std::size_t classes = 33; // Powers of four of a 64-bit size, and zero.

  hedge_config config_;
  retry_budget budget_;
  std::array<samples, classes> by_size_;
};

} // namespace skep::flow
