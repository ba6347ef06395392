#include "cli/commands.hpp"
#include "cli/http.hpp"
#include "runtime/actor/metric_names.hpp"
#include "runtime/telemetry/metric_names.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace skep::cli {

namespace {

using nlohmann::json;

/// A number below several members; 0 when there is none.
double number_at(const json& from, const char* path) {
  const json::json_pointer at{path};
  if (!from.contains(at) || !from.at(at).is_number())
    return 0;
  return from.at(at).get<double>();
}

std::string time_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole >= 86'400)
    return fmt::format("{} d {} h", whole / 86'400, whole / 3'600 % 24);
  if (whole >= 3'600)
    return fmt::format("{} h {} min", whole / 3'600, whole / 60 % 60);
  return whole >= 60 ? fmt::format("{} min {} s", whole / 60, whole % 60)
                     : fmt::format("{} s", whole);
}

/// A label of a metric's first series.
std::string label_of(const json& metrics, const telemetry::metric_info& what) {
  const json::json_pointer at{fmt::format("/{}/series/0/labels/{}", what.name, what.label)};
  return metrics.contains(at) && metrics.at(at).is_string() ? metrics.at(at).get<std::string>()
                                                            : "?";
}

void print_row(const char* label, const std::string& text) {
  fmt::print("  {:<10} {}\n", label, text);
}

void print_performance(const json& page) {
  print_row("up", fmt::format("{}, {:.1f} MiB resident, {:.0f} % of {:.0f} cores",
                              time_text(number_at(page, "/uptime_seconds")),
                              number_at(page, "/system/process_resident_bytes") / 1'048'576,
                              number_at(page, "/system/process_cpu_percent"),
                              number_at(page, "/system/cores")));
  // What the minute before says; a young node has less of it.
  const auto lately = time_text(number_at(page, "/window_seconds"));
  print_row("requests",
            fmt::format("{:.1f}/s in the last {}, {:.0f} at work, {:.0f} since the start",
                        number_at(page, "/throughput/requests_per_second"), lately,
                        number_at(page, "/active_requests"),
                        number_at(page, "/rates/since_start/requests")));
  print_row("latency", number_at(page, "/response_time/window/count") == 0
                         ? "nothing was answered lately"
                         : fmt::format("p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms",
                                       number_at(page, "/response_time/window/p50_ms"),
                                       number_at(page, "/response_time/window/p95_ms"),
                                       number_at(page, "/response_time/window/p99_ms")));
  print_row("errors", fmt::format("{:.0f} failed, {:.0f} timed out, {:.0f} by clients' fault",
                                  number_at(page, "/rates/window/failed"),
                                  number_at(page, "/rates/window/timed_out"),
                                  number_at(page, "/rates/window/client_faults")));
  print_row("tokens", fmt::format("{:.1f}/s in, {:.1f}/s out",
                                  number_at(page, "/throughput/prompt_tokens_per_second"),
                                  number_at(page, "/throughput/completion_tokens_per_second")));
  if (page.value(json::json_pointer{"/cache/enabled"}, false))
    print_row("cache", fmt::format("{:.1f} % hits, {:.0f} answers, {:.1f} MiB",
                                   number_at(page, "/cache/window_hit_percent"),
                                   number_at(page, "/cache/entries"),
                                   number_at(page, "/cache/bytes") / 1'048'576));
}

/// Circuits that keep calls away or are being probed; those that are closed are no news.
void print_circuits(const json& metrics) {
  const json::json_pointer series{fmt::format("/{}/series", rt::metric::breaker_state.name)};
  if (!metrics.contains(series))
    return;
  for (const auto& each : metrics.at(series))
    if (const auto state = each.value("value", 0.0); state != 0)
      print_row("circuit",
                fmt::format("{}: {}", each["labels"].value(rt::metric::breaker_state.label, "?"),
                            state == 1 ? "open" : "half-open"));
}

int complain(const std::string& url, const net::fetch_result& answer) {
  fmt::print(stderr, "skep status: {}: {}\n", url, complaint_of(answer));
  if (answer.ok() && (answer.status == 401 || answer.status == 403))
    fmt::print(stderr, "set SKEP_API_KEY to a key of this node that may see its figures\n");
  return exit_failed;
}

} // namespace

int status(const std::string& target) {
  const auto url = base_url(target);
  net::http_client client{net::fetch_config{}};
  const auto ready = ask(client, "GET", url + "/ready");
  if (!ready.ok())
    return complain(url, ready);
  const auto state = json::parse(ready.body, nullptr, false);
  if (!state.is_object() || !state.contains("status") || !state["status"].is_string()) {
    fmt::print(stderr, "skep status: {}: answers, but not as a skep node does (status {})\n", url,
               ready.status);
    return exit_failed;
  }
  const auto page = ask(client, "GET", url + "/api/v1/performance/metrics");
  const auto metrics = ask(client, "GET", url + "/metrics");
  const auto figures = json::parse(page.body, nullptr, false);
  const auto series = json::parse(metrics.body, nullptr, false);
  const bool seen = page.ok() && page.status == 200 && figures.is_object() && metrics.ok()
                    && metrics.status == 200 && series.is_object();
  const auto word = state["status"].get<std::string>();
  if (!seen) {
    fmt::print("{}: {}\n", url, word);
    return complain(url, page.ok() && page.status == 200 ? metrics : page);
  }
  fmt::print("{} at {}: {} (skep {})\n", figures.value("node", "?"), url, word,
             label_of(series, telemetry::metric::build_info));
  print_performance(figures);
  print_circuits(series);
  return ready.status == 200 ? exit_ok : exit_failed;
}

} // namespace skep::cli
