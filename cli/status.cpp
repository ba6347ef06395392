#include "cli/commands.hpp"
#include "cli/http.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace skep::cli {

namespace {

using nlohmann::json;

std::string labels_of(const json& series) {
  std::string text;
  for (const auto& [key, value] : series["labels"].items())
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value.get<std::string>());
  return text;
}

/// The metrics a person asks for first, one line a series.
void print_metrics(const json& metrics) {
  for (const auto* name :
       {"skep_http_active", "skep_breaker_state", "skep_pool_size", "skep_pool_idle",
        "skep_cache_entries", "skep_cache_hits_total", "skep_cache_misses_total",
        "skep_provider_requests_total", "skep_mailbox_depth", "process_resident_memory_bytes"}) {
    if (!metrics.contains(name))
      continue;
    for (const auto& series : metrics[name]["series"])
      if (series.contains("value"))
        fmt::print("  {:<34} {:<40} {}\n", name, labels_of(series), series["value"].dump());
  }
}

} // namespace

int status(const std::string& node) {
  const auto url = base_url(node);
  net::http_client client{net::fetch_config{}};
  const auto ready = ask(client, "GET", url + "/ready");
  if (!ready.ok()) {
    fmt::print(stderr, "skep status: {}: {}\n", url, to_string(ready.why));
    return exit_failed;
  }
  const auto body = json::parse(ready.body, nullptr, false);
  fmt::print("{}: {}\n", url, body.is_discarded() ? ready.body : body.dump(2));
  const auto metrics = ask(client, "GET", url + "/metrics");
  if (metrics.ok() && metrics.status == 200)
    if (const auto parsed = json::parse(metrics.body, nullptr, false); parsed.is_object())
      print_metrics(parsed);
  return ready.status == 200 ? exit_ok : exit_failed;
}

} // namespace skep::cli
