#include "actors/gateway/performance_json.hpp"

#include "actors/gateway/observer.hpp"
#include "actors/gateway/pool_advice.hpp"
#include "actors/metric_names.hpp"
#include "runtime/actor/metric_names.hpp"
#include "runtime/io/metric_names.hpp"
#include "runtime/net/metric_names.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace skep::actors {

namespace {

using nlohmann::json;
using telemetry::percent_of;
using families = std::vector<telemetry::family_snapshot>;
using series_list = std::vector<telemetry::series_snapshot>;

double seconds_of(duration d) {
  return std::chrono::duration<double>(d).count();
}

double percent(double part, double whole) {
  return rounded(percent_of(part, whole), 2);
}

std::uint64_t count_of(double value) {
  return value > 0 ? static_cast<std::uint64_t>(std::llround(value)) : 0;
}

double in_ms(double nanoseconds) {
  return rounded(nanoseconds / 1e6, 3);
}

json response_time_json(const telemetry::local_histogram& times) {
  const auto quantile = [&](double p) { return in_ms(static_cast<double>(times.quantile(p))); };
  return {{"count", times.count()},   {"mean_ms", in_ms(times.mean())},
          {"p50_ms", quantile(0.5)},  {"p95_ms", quantile(0.95)},
          {"p99_ms", quantile(0.99)}, {"max_ms", in_ms(static_cast<double>(times.max()))}};
}

json rates_json(const traffic& of) {
  const auto judged = static_cast<double>(of.judged());
  const auto share = [&](std::uint64_t part) { return percent(static_cast<double>(part), judged); };
  return {{"requests", of.requests},
          {"succeeded", of.succeeded},
          {"failed", of.failed},
          {"timed_out", of.timed_out},
          {"client_faults", of.client_faults},
          {"success_percent", share(of.succeeded)},
          {"error_percent", share(of.failed + of.timed_out)},
          {"timeout_percent", share(of.timed_out)}};
}

json system_json(const telemetry::system_usage& of) {
  const auto number = [](std::uint64_t bytes) { return static_cast<double>(bytes); };
  return {
    {"cores", of.cores},
    {"cpu_percent", rounded(of.cpu.machine_percent, 2)},
    {"process_cpu_percent", rounded(of.cpu.process_percent, 2)},
    {"cpu_window_seconds", rounded(of.cpu_seconds, 1)},
    {"memory_total_bytes", of.memory_total},
    {"memory_used_bytes", of.memory_used},
    {"memory_percent", percent(number(of.memory_used), number(of.memory_total))},
    {"process_resident_bytes", of.process_resident},
    {"disk_total_bytes", of.disk_total},
    {"disk_used_bytes", of.disk_used},
    {"disk_available_bytes", of.disk_available},
    // As df has it: root's reserve counts to neither side.
    {"disk_percent", percent(number(of.disk_used), number(of.disk_used + of.disk_available))}};
}

json throughput_json(const performance_view& view) {
  // The first moments of a node are no rate.
  const auto seconds = std::max(1.0, seconds_of(view.lately_covers));
  const auto calls = view.minute.sum(metric::provider_requests);
  const auto call_seconds = std::max(1.0, seconds_of(view.minute.covered()));
  const auto rate = [&](std::uint64_t n) { return rounded(static_cast<double>(n) / seconds, 3); };
  const auto& of = view.lately;
  return {{"requests_per_second", rate(of.requests)},
          {"llm_calls_per_second", rounded(calls / call_seconds, 3)},
          {"prompt_tokens_per_second", rate(of.prompt_tokens)},
          {"completion_tokens_per_second", rate(of.completion_tokens)},
          {"tokens_per_second", rate(of.prompt_tokens + of.completion_tokens)}};
}

// -- pools ----------------------------------------------------------------------------------------

using pools_by_name = std::map<std::string, pool_figures>;

/// Sets one figure of every pool that has it.
void collect(pools_by_name& pools, const series_list& from, double pool_figures::*figure) {
  for (const auto& series : from) {
    const auto name = telemetry::label_of(series, metric::pool_size.label);
    auto& pool = pools[name];
    pool.name = name;
    pool.*figure = telemetry::number_of(series).value_or(0);
  }
}

pools_by_name pools_of(const performance_view& view) {
  using figures = pool_figures;
  pools_by_name pools;
  const auto now = [&](const telemetry::metric_info& what, double figures::*figure) {
    collect(pools, telemetry::series_of(view.metrics, what), figure);
  };
  now(metric::pool_size, &figures::size);
  now(metric::pool_idle, &figures::idle);
  now(metric::pool_size_max, &figures::size_max);
  now(metric::pool_idle_min, &figures::idle_min);
  now(metric::pool_idle_ttl, &figures::idle_ttl_seconds);
  now(metric::pool_busy_peak, &figures::busy_peak);
  const auto lately = [&](watched_metric what, double figures::*figure) {
    collect(pools, view.minutes.series(what), figure);
  };
  lately(metric::pool_checkouts, &figures::checkouts);
  lately(metric::pool_refused, &figures::refused);
  lately(metric::pool_spawned, &figures::spawned);
  lately(metric::pool_evicted, &figures::evicted);
  lately(metric::pool_discarded, &figures::discarded);
  for (auto& [name, pool] : pools)
    pool.window_seconds = seconds_of(view.minutes.covered());
  return pools;
}

json pool_json(const pool_figures& of, const families& shown) {
  const auto total = [&](const telemetry::metric_info& what) {
    return count_of(telemetry::sum_of(shown, what, of.name));
  };
  const auto busy = of.size - of.idle;
  return {{"size", count_of(of.size)},
          {"busy", count_of(busy)},
          {"idle", count_of(of.idle)},
          {"size_max", count_of(of.size_max)},
          {"idle_min", count_of(of.idle_min)},
          {"idle_ttl_seconds", of.idle_ttl_seconds},
          {"utilisation_percent", percent(busy, of.size_max)},
          {"busy_peak", count_of(of.busy_peak)},
          {"checkouts", total(metric::pool_checkouts)},
          {"refused", total(metric::pool_refused)},
          {"spawned", total(metric::pool_spawned)},
          {"evicted", total(metric::pool_evicted)},
          {"discarded", total(metric::pool_discarded)},
          {"window",
           {{"checkouts", count_of(of.checkouts)},
            {"refused", count_of(of.refused)},
            {"spawned", count_of(of.spawned)},
            {"evicted", count_of(of.evicted)},
            {"discarded", count_of(of.discarded)}}}};
}

/// The pools of connections to providers' hosts, and Redis's, where there are any.
std::vector<connection_figures> connections_of(const performance_view& view) {
  const auto window = seconds_of(view.minutes.covered());
  const auto now = [&](const telemetry::metric_info& what, std::string_view host = {}) {
    return telemetry::sum_of(view.metrics, what, host);
  };
  std::vector<connection_figures> pools;
  for (const auto& series : telemetry::series_of(view.metrics, net::metric::fetch_pool_size)) {
    const auto host = telemetry::label_of(series, net::metric::fetch_pool_size.label);
    pools.push_back({"fetch/" + host, telemetry::number_of(series).value_or(0),
                     now(net::metric::fetch_pool_in_use, host),
                     now(net::metric::fetch_pool_waiting, host), window, 0, 0});
  }
  if (telemetry::find_sum(view.metrics, io::metric::redis_connections))
    pools.push_back({"redis", now(io::metric::redis_pool_size), now(io::metric::redis_connections),
                     0, window, view.minutes.sum(io::metric::redis_client_refused),
                     view.minutes.sum(io::metric::redis_connections_lost)});
  return pools;
}

json connection_json(const connection_figures& of) {
  return {{"size", count_of(of.size)},
          {"in_use", count_of(of.in_use)},
          {"waiting", count_of(of.waiting)},
          {"utilisation_percent", percent(of.in_use, of.size)},
          {"window", {{"refused", count_of(of.refused)}, {"lost", count_of(of.lost)}}}};
}

json advice_json(const advice& of) {
  json made{{"rule", of.rule}, {"pool", of.pool}, {"reason", of.reason}};
  made["option"] = of.option.empty() ? json(nullptr) : json(of.option);
  made["proposed"] = of.proposed == 0 ? json(nullptr) : json(of.proposed);
  return made;
}

} // namespace

double rounded(double value, int decimals) {
  if (!std::isfinite(value))
    return 0;
  const auto scale = std::pow(10.0, decimals);
  return std::round(value * scale) / scale;
}

json cache_json(const node_facts& node, const performance_view& view) {
  using status = msg::cache_status;
  const auto since_start = [&](status how) {
    return telemetry::sum_of(view.metrics, metric::gateway_cache, cache_word(how));
  };
  const auto lately
    = [&](status how) { return view.minute.sum(metric::gateway_cache, cache_word(how)); };
  const auto hits = [](const auto& answered) {
    return answered(status::hit) + answered(status::shared) + answered(status::stale)
           + answered(status::semantic);
  };
  const auto rate = [&](const auto& answered) {
    return percent(hits(answered), hits(answered) + answered(status::miss));
  };
  const auto count = [&](const telemetry::metric_info& what) {
    return count_of(telemetry::sum_of(view.metrics, what));
  };
  return {{"enabled", node.has_cache},
          {"hits", count_of(hits(since_start))},
          {"misses", count_of(since_start(status::miss))},
          {"hit_percent", rate(since_start)},
          {"window_hit_percent", rate(lately)},
          {"entries", count(metric::cache_entries)},
          {"bytes", count(metric::cache_bytes)},
          {"evicted", count(metric::cache_evicted)},
          {"expired", count(metric::cache_expired)},
          {"second_level", node.has_second_level}};
}

json metrics_json(const node_facts& node, const performance_view& view) {
  const auto now = [&](const telemetry::metric_info& what) {
    return count_of(telemetry::sum_of(view.metrics, what));
  };
  return {
    {"node", node.name},
    {"uptime_seconds", rounded(node.uptime_seconds, 1)},
    {"window_seconds", rounded(seconds_of(view.lately_covers), 1)},
    {"system", system_json(view.system)},
    {"response_time",
     {{"window", response_time_json(view.lately.response_time)},
      {"since_start", response_time_json(view.since_start.response_time)}}},
    {"throughput", throughput_json(view)},
    {"rates", {{"window", rates_json(view.lately)}, {"since_start", rates_json(view.since_start)}}},
    {"active_requests", now(metric::http_active)},
    {"queued_messages", now(rt::metric::mailbox_depth)},
    {"cache", cache_json(node, view)}};
}

json pools_json(const node_facts& node, const performance_view& view) {
  json pools = json::object();
  json advices = json::array();
  pool_figures all;
  std::uint64_t checkouts = 0;
  std::uint64_t refused = 0;
  for (const auto& [name, pool] : pools_of(view)) {
    pools[name] = pool_json(pool, view.metrics);
    checkouts += pools[name]["checkouts"].get<std::uint64_t>();
    refused += pools[name]["refused"].get<std::uint64_t>();
    all.size += pool.size;
    all.idle += pool.idle;
    all.size_max += pool.size_max;
    for (const auto& each : advise(pool))
      advices.push_back(advice_json(each));
  }
  json connections = json::object();
  for (const auto& pool : connections_of(view)) {
    connections[pool.name] = connection_json(pool);
    for (const auto& each : advise(pool))
      advices.push_back(advice_json(each));
  }
  return {{"node", node.name},
          {"window_seconds", rounded(seconds_of(view.minutes.covered()), 1)},
          {"pools", std::move(pools)},
          {"totals",
           {{"size", count_of(all.size)},
            {"busy", count_of(all.size - all.idle)},
            {"idle", count_of(all.idle)},
            {"size_max", count_of(all.size_max)},
            {"utilisation_percent", percent(all.size - all.idle, all.size_max)},
            {"checkouts", checkouts},
            {"refused", refused}}},
          {"connections", std::move(connections)},
          {"recommendations", std::move(advices)}};
}

json providers_json(const performance_view& view) {
  // Not the provider's fault; the caller left, or asked for what no provider could do.
  const std::array blameless{
    metric::outcome_word(errc::none), metric::outcome_word(errc::cancelled),
    metric::outcome_word(errc::bad_request), metric::outcome_word(errc::context_overflow),
    metric::outcome_word(errc::content_filtered)};
  json made = json::object();
  const auto count = [&](const series_list& from, const char* calls, const char* errors) {
    for (const auto& series : from) {
      auto& provider = made[telemetry::label_of(series, metric::provider_requests.label)];
      const auto n = count_of(telemetry::number_of(series).value_or(0));
      const auto outcome = telemetry::label_of(series, metric::provider_outcome);
      const bool fine = std::find(blameless.begin(), blameless.end(), outcome) != blameless.end();
      provider[calls] = provider.value(calls, std::uint64_t{0}) + n;
      provider[errors] = provider.value(errors, std::uint64_t{0}) + (fine ? 0 : n);
    }
  };
  for (const auto& series : telemetry::series_of(view.metrics, metric::provider_in_flight))
    made[telemetry::label_of(series, metric::provider_in_flight.label)]["in_flight"]
      = count_of(telemetry::number_of(series).value_or(0));
  count(telemetry::series_of(view.metrics, metric::provider_requests), "calls", "errors");
  count(view.minute.series(metric::provider_requests), "window_calls", "window_errors");
  for (auto& provider : made)
    provider["window_error_percent"]
      = percent(provider.value("window_errors", 0.0), provider.value("window_calls", 0.0));
  return made;
}

} // namespace skep::actors
