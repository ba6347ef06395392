#pragma once

#include "runtime/base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace skep::flow {

/// Parameters of a pool_sizer. shrink_below * growth_factor must stay below grow_above: else a step
/// down would call for the step up again.
struct pool_sizer_config {
  std::uint32_t size_min = 2;
  std::uint32_t size_max = 10;
  /// A step up multiplies the size by this, a step down divides by it; above 1.
  double growth_factor = 2.0;
  /// A moving average of utilisation above this calls for more.
  double grow_above = 0.8;
  /// An average that stays below this for shrink_after calls for less.
  double shrink_below = 0.3;
  /// Time constant of the moving average: what lies further back than a few of these is forgotten.
  duration window = 100ms;
  duration shrink_after = 30s;
};

/// Why a pool changed its size.
enum class resize_reason : std::uint8_t {
  /// The average was above grow_above.
  busy,
  /// The same, and somebody had to wait already.
  waiting,
  /// The average was below shrink_below for long enough.
  idle,
};

/// The reason's name as it stands in metrics and reports.
std::string_view to_string(resize_reason why) noexcept;

/// One decision of a pool_sizer.
struct resize {
  time_point when{};
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  /// The moving average it was decided by, as a share of `from`; above 1 when more was asked for
  /// than there was.
  double utilisation = 0;
  resize_reason why = resize_reason::busy;

  bool operator==(const resize&) const = default;
};

/// Decides how large a pool should be from how much is asked of it: the demand, which is the
/// members at work plus those that somebody waits for, in an exponentially weighted moving average
/// over time. It grows by growth_factor once the average is above grow_above of the size: one step
/// per window while nobody waits, at once while somebody does, for as long as the average agrees.
/// So one late answer opens nothing, and a burst pulls the average up the faster the larger it is.
/// It shrinks by one step when the average did not once reach shrink_below within shrink_after; a
/// step down that has to be undone doubles that time (32-fold at most), two in a row halve it
/// again, so that a load on the edge does not make it flap. Not thread-safe; O(1).
class pool_sizer {
public:
  /// Starts at size_min. A size_min above size_max counts as size_max.
  explicit pool_sizer(const pool_sizer_config& config);

  /// From `now` on `demand` members are wanted, fractions allowed, and somebody waits or not. Says
  /// when the size changed.
  std::optional<resize> observe(time_point now, double demand, bool waiting);
  /// The same demand still holds; call it at next() at the latest.
  std::optional<resize> check(time_point now);
  /// When the size may change if the demand stays as it is; nothing: never.
  [[nodiscard]] std::optional<time_point> next() const;

  [[nodiscard]] std::uint32_t size() const noexcept {
    return size_;
  }
  /// The moving average of the demand, in members, as of the last call.
  [[nodiscard]] double average() const noexcept {
    return average_;
  }
  /// The average as a share of the size; above 1 while more is asked for than there is.
  [[nodiscard]] double utilisation() const noexcept {
    return average_ / size_;
  }
  /// Nothing is asked of it and it cannot shrink any further.
  [[nodiscard]] bool at_rest() const noexcept;

private:
  void move_average(time_point now);
  std::optional<resize> grow(time_point now);
  std::optional<resize> shrink(time_point now);
  void watch_low(time_point now);
  resize resized(time_point now, std::uint32_t to, resize_reason why);
  [[nodiscard]] std::optional<time_point> crosses(double level) const;

  const pool_sizer_config config_;
  std::uint32_t size_;
  double average_ = 0;
  double demand_ = 0;
  bool waiting_ = false;
  std::optional<time_point> at_; // Of the last call.
  std::optional<time_point> grown_at_;
  std::optional<time_point> low_since_; // The average has been below shrink_below since.
  double low_peak_ = 0;                 // Its largest value since then.
  duration patience_;                   // How long it must stay low.
  bool shrunk_last_ = false;            // The last change was a step down.
};

} // namespace skep::flow
