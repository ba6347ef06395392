#include "runtime/telemetry/window_history.hpp"

#include <algorithm>
#include <utility>

namespace skep::telemetry {

namespace {

std::string key_of(std::string_view name, const label_set& labels) {
  std::string key{name};
  for (const auto& [label, value] : labels)
    key.append(1, '\0').append(label).append(1, '=').append(value);
  return key;
}

} // namespace

std::optional<double> number_of(const series_snapshot& series) {
  if (const auto* total = std::get_if<std::uint64_t>(&series.value))
    return static_cast<double>(*total);
  if (const auto* gauge = std::get_if<std::int64_t>(&series.value))
    return static_cast<double>(*gauge);
  if (const auto* read = std::get_if<double>(&series.value))
    return *read;
  return std::nullopt;
}

bool has_label_value(const series_snapshot& series, std::string_view value) {
  return value.empty()
         || std::any_of(series.labels.begin(), series.labels.end(),
                        [&](const auto& label) { return label.second == value; });
}

std::string label_of(const series_snapshot& series, std::string_view label) {
  for (const auto& [name, value] : series.labels)
    if (name == label)
      return value;
  return {};
}

const std::vector<series_snapshot>& series_of(const std::vector<family_snapshot>& shown,
                                              const metric_info& metric) {
  static const std::vector<series_snapshot> none;
  const auto at = std::find_if(shown.begin(), shown.end(),
                               [&](const family_snapshot& each) { return metric.is(each.name); });
  return at == shown.end() ? none : at->series;
}

std::optional<double> find_sum(const std::vector<family_snapshot>& shown, const metric_info& metric,
                               std::string_view label_value) {
  std::optional<double> sum;
  for (const auto& series : series_of(shown, metric))
    if (const auto value = number_of(series); value && has_label_value(series, label_value))
      sum = sum.value_or(0) + *value;
  return sum;
}

double sum_of(const std::vector<family_snapshot>& shown, const metric_info& metric,
              std::string_view label_value) {
  return find_sum(shown, metric, label_value).value_or(0);
}

void window_history::add(time_point now, const std::vector<family_snapshot>& shown) {
  sample made{now, std::vector<double>(numbers_.size())};
  for (const auto& family : shown)
    for (const auto& series : family.series) {
      const auto value = number_of(series);
      if (!value)
        continue;
      const auto number
        = numbers_.try_emplace(key_of(family.name, series.labels), numbers_.size()).first->second;
      if (number >= made.values.size())
        made.values.resize(number + 1);
      made.values[number] = *value;
    }
  samples_.push_back(std::move(made));
  // The oldest that stays is the last one at or before the window's far edge.
  while (samples_.size() > samples_max || (samples_.size() > 1 && samples_[1].at + window_ <= now))
    samples_.pop_front();
}

window_growth window_history::growth(time_point now, duration over,
                                     const std::vector<family_snapshot>& shown) const {
  if (samples_.empty())
    return {};
  auto base = samples_.begin();
  while (std::next(base) != samples_.end() && std::next(base)->at + over <= now)
    ++base;
  window_growth grown{{}, now - base->at};
  for (const auto& family : shown) {
    family_snapshot out{family.name, family.help, family.kind, {}, {}};
    for (const auto& series : family.series) {
      const auto value = number_of(series);
      if (!value)
        continue;
      const auto known = numbers_.find(key_of(family.name, series.labels));
      const bool was_there = known != numbers_.end() && known->second < base->values.size();
      const auto begun = was_there ? base->values[known->second] : 0;
      out.series.push_back({series.labels, *value >= begun ? *value - begun : *value});
    }
    grown.series.push_back(std::move(out));
  }
  return grown;
}

} // namespace skep::telemetry
