#include "cli/commands.hpp"
#include "cli/http.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <span>

namespace skep::cli {

namespace {

using nlohmann::json;

// A clear waits for all nodes of a cluster.
constexpr auto clear_timeout = std::chrono::seconds{10};

/// A row of the table; left out when the node does not say.
struct row {
  const char* member;
  const char* label;
};

constexpr row answered[] = {
  {"hits", "served from the cache"},        {"shared", "shared a call in flight"},
  {"stale", "served stale, being renewed"}, {"semantic", "served for the same meaning"},
  {"misses", "asked a provider"},           {"bypassed", "not to be cached"},
};

constexpr row held[] = {
  {"cache_size", "answers held"},   {"cache_bytes", "bytes held"},
  {"refusals", "of them refusals"}, {"stored", "stored so far"},
  {"evicted", "made room"},         {"expired", "no longer fresh"},
  {"refused", "too large to keep"}, {"leases", "answers being fetched"},
};

constexpr row second[] = {
  {"hits", "found there"},
  {"misses", "not found there"},
  {"stored", "written there"},
  {"failed", "calls that failed"},
};

void print_rows(const char* title, const json& from, std::span<const row> rows) {
  fmt::print("{}\n", title);
  for (const auto& [member, label] : rows)
    if (const auto found = from.find(member); found != from.end() && found->is_number())
      fmt::print("  {:<30} {:>14}\n", label, found->get<std::int64_t>());
}

void print_stats(const json& stats) {
  fmt::print("node {}{}\n", stats.value("node", "?"),
             stats.value("enabled", false) ? "" : ", without a cache of its own");
  print_rows("answers to clients", stats, answered);
  fmt::print("  {:<30} {:>13.1f}%\n", "without a call of their own",
             100 * stats.value("hit_rate", 0.0));
  print_rows("shards of this node", stats, held);
  fmt::print("  {:<30} {:>13.2f}x\n", "compression", stats.value("compression_ratio", 1.0));
  const auto level = stats.value("second_level", json::object());
  if (level.value("enabled", false))
    print_rows("second level (Redis)", level, second);
}

/// Prints what went wrong; false when the answer is 200 with an object.
bool failed(const std::string& command, const std::string& url, const net::fetch_result& result,
            const json& body) {
  if (result.ok() && result.status == 200 && body.is_object())
    return false;
  const auto why
    = result.ok() && result.status == 200 ? "the answer is no JSON object" : complaint_of(result);
  fmt::print(stderr, "skep cache {}: {}: {}\n", command, url, why);
  return true;
}

} // namespace

int cache_stats(const std::string& target) {
  const auto url = base_url(target);
  net::http_client client{net::fetch_config{}};
  const auto result = ask(client, "GET", url + "/api/v1/cache/stats");
  const auto body = json::parse(result.body, nullptr, false);
  if (failed("stats", url, result, body))
    return exit_failed;
  print_stats(body);
  return exit_ok;
}

int cache_clear(const cache_clear_options& options) {
  const auto url = base_url(options.target);
  auto wish = json::object();
  if (!options.agent.empty())
    wish["agent"] = options.agent;
  if (!options.key.empty())
    wish["key"] = options.key;
  net::http_client client{net::fetch_config{}};
  auto request = command_request("POST", url + "/api/v1/performance/cache/clear");
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = wish.dump();
  request.total_timeout = clear_timeout;
  const auto result = ask(client, std::move(request));
  const auto body = json::parse(result.body, nullptr, false);
  if (failed("clear", url, result, body))
    return exit_failed;
  const auto what = body.value("cleared", "all");
  fmt::print("cleared {}\n", what == "all" ? "everything" : what + " " + body.value(what, ""));
  return exit_ok;
}

} // namespace skep::cli
