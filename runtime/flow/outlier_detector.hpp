#pragma once

#include "runtime/base/clock.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace skep::flow {

/// Parameters of an outlier_detector; the defaults are Envoy's.
struct outlier_config {
  /// Failures in a row that eject a member; 0: they do not.
  std::uint32_t consecutive_failures_max = 5;
  /// How often success rates are compared.
  duration interval = 10s;
  /// A member's first ejection takes this long, its n-th n times as long, up to ejection_max. For
  /// each interval it gets through afterwards n falls by one.
  duration ejection = 30s;
  duration ejection_max = 300s;
  /// At most this share of the members is ejected at once, but one may always be.
  double ejected_share_max = 0.1;
  /// With fewer members nobody is ejected: each one's own breaker does the work.
  std::uint32_t members_min = 3;
  /// So many must remain that are neither ejected nor refusing calls by themselves.
  double healthy_share_min = 0.5;
  /// Success rates are compared when so many members had so many calls each in an interval.
  std::uint32_t rate_members_min = 5;
  std::uint32_t rate_calls_min = 100;
  /// A success rate that many standard deviations below the mean ejects.
  double rate_sigmas = 1.9;
};

/// Why a member was ejected.
enum class ejection_reason : std::uint8_t { consecutive_failures, success_rate };

/// Finds members of a group that do worse than the others, and takes them out for a while (Envoy's
/// outlier detection). report() may be called from any thread: a few relaxed atomic operations.
/// Everything else is for one thread, the owner's.
class outlier_detector {
public:
  /// Whether a member would take a call now, as far as others know.
  using usable_fn = std::function<bool(std::size_t member)>;

  outlier_detector(const outlier_config& config, std::size_t members);

  /// A call to `member` ended. True when it has now failed often enough in a row: then the owner
  /// calls try_eject().
  bool report(std::size_t member, bool ok) noexcept;

  /// Ejects the member unless too few would remain; counts that as suppressed. Returns until when.
  std::optional<time_point> try_eject(std::size_t member, ejection_reason why, time_point now,
                                      const usable_fn& usable);
  /// Compares the success rates since the last sweep; to be called once per interval. Returns whom
  /// it ejected.
  std::vector<std::size_t> sweep(time_point now, const usable_fn& usable);
  /// Those whose ejection is over; they are members again.
  std::vector<std::size_t> take_back(time_point now);
  /// Ends all ejections if too few members are left that are usable (panic). Returns whose.
  std::vector<std::size_t> take_back_in_panic(const usable_fn& usable);

  [[nodiscard]] bool ejected(std::size_t member) const {
    return states_[member].until.has_value();
  }
  [[nodiscard]] std::size_t ejected_count() const {
    return ejected_count_;
  }
  /// Some ejection still makes the next one longer.
  [[nodiscard]] bool remembers() const;
  /// When the next ejection ends.
  [[nodiscard]] std::optional<time_point> next() const;

  struct totals {
    std::uint64_t consecutive_failures = 0;
    std::uint64_t success_rate = 0;
    /// Ejections that too few members were left for.
    std::uint64_t suppressed = 0;
  };
  [[nodiscard]] const totals& counts() const {
    return counts_;
  }

private:
  /// A cache line of its own: every call to the member writes it.
  struct alignas(64) tally {
    std::atomic<std::uint32_t> in_a_row{0};
    std::atomic<std::uint32_t> ok{0};
    std::atomic<std::uint32_t> failed{0};
  };
  struct state {
    std::optional<time_point> until;
    std::uint32_t times = 0;
    /// Its results since the last sweep are not all its own doing: it was out for a part of it.
    bool spared = false;
  };
  struct rated {
    std::size_t member;
    double rate;
  };

  [[nodiscard]] std::size_t usable_without(std::size_t member, const usable_fn& usable) const;
  [[nodiscard]] bool may_eject(std::size_t member, const usable_fn& usable) const;
  void return_member(std::size_t member);
  std::vector<rated> take_rates();

  const outlier_config config_;
  const std::size_t members_;
  std::unique_ptr<tally[]> tallies_;
  std::vector<state> states_;
  std::size_t ejected_count_ = 0;
  totals counts_;
};

} // namespace skep::flow
