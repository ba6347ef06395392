#include "cli/bench/node_metrics.hpp"

#include "cli/http.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace skep::cli::bench {

void metric_sums::add(std::string_view text) {
  const auto page = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!page.is_object())
    return;
  for (const auto& [name, family] : page.items()) {
    if (!family.is_object() || !family.contains("series") || !family["series"].is_array())
      continue;
    const auto type = family.value("type", "");
    if (type != "counter" && type != "gauge")
      continue;
    auto& sum = (type == "counter" ? counters : gauges)[name];
    for (const auto& series : family["series"])
      if (series.is_object() && series.contains("value") && series["value"].is_number())
        sum += series["value"].get<double>();
  }
}

std::map<std::string, double> metric_sums::since(const metric_sums& before) const {
  auto rise = gauges;
  for (const auto& [name, value] : counters) {
    const auto was = before.counters.find(name);
    // A node that started again began at zero.
    rise[name] = std::max(0.0, value - (was != before.counters.end() ? was->second : 0));
  }
  return rise;
}

metric_sums read_metrics(net::http_client& client, const std::vector<std::string>& targets) {
  metric_sums sums;
  for (const auto& target : targets)
    if (const auto page = ask(client, "GET", target + "/metrics"); page.ok() && page.status == 200)
      sums.add(page.body);
  return sums;
}

} // namespace skep::cli::bench
