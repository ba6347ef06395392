#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/rng.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

// What a simulated upstream does wrong, and when; pure.
namespace skep::cli::simulate {

/// What becomes of a call. The names on the command line, in plans and at the control endpoint are
/// those of fault_names().
enum class fault_mode : std::uint8_t {
  none,
  /// 429 for too many requests, with Retry-After.
  rate_limited,
  /// 429 for too many tokens, with retry-after-ms.
  rate_limited_tokens,
  /// The account is empty: 429 insufficient_quota, Anthropic's 400 about the credit balance.
  quota,
  /// 529, OpenAI's 503.
  overloaded,
  error_500,
  /// As a proxy answers: an HTML page.
  error_502,
  error_503,
  /// The answer trickles, one byte at a time.
  slow_loris,
  /// Nothing ever comes.
  stall,
  /// The answer begins and then stands still.
  stall_midway,
  /// The connection breaks in the middle of the answer.
  cut,
  /// The connection breaks before the first byte of an answer.
  cut_before,
  /// An error event in the middle of a stream; a whole answer becomes a 500.
  error_in_stream,
  /// JSON that ends too early.
  wrong_json,
  /// One piece of text of many MiB.
  huge_chunk,
  /// 200 with an HTML page.
  wrong_type,
  /// Nobody listens: connections are refused, those there are were closed.
  down,
};

inline constexpr std::size_t fault_mode_count = static_cast<std::size_t>(fault_mode::down) + 1;

std::string_view to_string(fault_mode mode) noexcept;
/// Nothing when there is no mode of this name.
std::optional<fault_mode> fault_named(std::string_view name) noexcept;

/// `[[phase]]` of a plan, or what the control endpoint was told: a share of the calls of a while.
struct fault_rule {
  fault_mode mode = fault_mode::none;
  /// Share of the calls; `down` is all or nothing.
  double rate = 1;
  /// Calls it may hit; 0: any number.
  std::uint64_t count = 0;
  /// Since the first call of a plan, or since the rule was set.
  std::chrono::milliseconds from{0};
  /// 0: it never ends.
  std::chrono::milliseconds to{0};
  /// Above 0: it comes in bursts, one each so often, `burst` long.
  std::chrono::milliseconds every{0};
  std::chrono::milliseconds burst{0};
  /// What the caller is told to wait, where the mode says anything about it.
  std::chrono::milliseconds retry_after{1'000};
};

/// What one call meets.
struct misfortune {
  fault_mode mode = fault_mode::none;
  std::chrono::milliseconds retry_after{0};
};

/// Decides the fate of each call: by the rules set at run time, then by the plan's. The same seed
/// and the same moments give the same fates. Not thread-safe.
class fault_book {
public:
  /// The plan's times are multiplied by `scale`.
  fault_book(std::vector<fault_rule> plan, std::uint64_t seed, double scale = 1);

  /// The next call's fate. The first call starts the plan's clock.
  misfortune next(time_point now);
  /// Replaces the rules of run time; none clears them.
  void set(std::vector<fault_rule> rules, time_point now);
  /// A rule says that nobody listens now.
  bool down(time_point now) const;
  /// How many rules were set at run time.
  std::size_t rules_set() const {
    return set_.size();
  }
  /// Whether down() can ever become true.
  bool may_be_down() const;

private:
  struct entry {
    fault_rule rule;
    std::uint64_t hits = 0;
  };

  static bool active(const entry& e, duration since);
  /// The first entry the lot falls on; `lot` becomes smaller by the shares passed over.
  static entry* drawn(std::span<entry> among, duration since, double& lot);

  std::vector<entry> plan_;
  std::vector<entry> set_;
  std::optional<time_point> plan_began_;
  time_point set_at_{};
  flow::rng random_;
};

} // namespace skep::cli::simulate
