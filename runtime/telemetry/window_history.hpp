#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/telemetry/metric_info.hpp"
#include "runtime/telemetry/registry.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::telemetry {

/// What counters grew by over the last while: families as the registry shows them, with increases
/// in the place of values.
struct window_growth {
  std::vector<family_snapshot> series;
  /// The time it covers; zero when there was no sample to compare with.
  duration covered{};
};

/// Counters as they were in the last minutes, so that totals since the start can be read as what
/// happened lately. Fed with snapshots of the registry at a steady pace. Memory: 8 bytes per series
/// and sample, of which there are samples_max at most. Not thread-safe.
class window_history {
public:
  static constexpr std::size_t samples_max = 128;

  /// Keeps what it needs to look back this far.
  explicit window_history(duration window) : window_(window) {}

  /// Adds what the registry showed at `now`; histograms are left out.
  void add(time_point now, const std::vector<family_snapshot>& shown);

  /// By how much every series grew from `over` before `now` (or the oldest sample) to what is
  /// `shown` now. A series that was not there began at zero, one that fell began anew.
  window_growth growth(time_point now, duration over,
                       const std::vector<family_snapshot>& shown) const;

private:
  struct sample {
    time_point at;
    std::vector<double> values; // By the series' number; new ones stand behind its end.
  };

  const duration window_;
  std::map<std::string, std::size_t, std::less<>> numbers_; // Of each series ever seen.
  std::deque<sample> samples_;
};

/// A series' value as a number; nothing for a histogram.
std::optional<double> number_of(const series_snapshot& series);
/// One of the labels has this value; an empty one fits all.
bool has_label_value(const series_snapshot& series, std::string_view value);
/// The value of a label; empty when the series has none of that name.
std::string label_of(const series_snapshot& series, std::string_view label);
/// A metric's series; none when it is not shown.
const std::vector<series_snapshot>& series_of(const std::vector<family_snapshot>& shown,
                                              const metric_info& metric);
/// The sum over a metric's series, of those with this label value when one is given.
double sum_of(const std::vector<family_snapshot>& shown, const metric_info& metric,
              std::string_view label_value = {});
/// The same; nothing when there is no such series.
std::optional<double> find_sum(const std::vector<family_snapshot>& shown, const metric_info& metric,
                               std::string_view label_value = {});

} // namespace skep::telemetry
