#include "cli/simulate/plan.hpp"

#include "cli/simulate/flavour.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/option.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli::simulate {

namespace {

using config::option;
using std::chrono::milliseconds;

constexpr milliseconds day{86'400'000};
// What can be set at run time is bounded in number.
constexpr std::size_t rules_max = 64;

std::optional<config::violation> check_rule(const fault_rule& c) {
  if (c.to.count() > 0 && c.to <= c.from)
    return config::violation{"to_ms", "to_ms must be above from_ms, or 0 for no end"};
  if ((c.every.count() > 0) != (c.burst.count() > 0) || c.burst > c.every)
    return config::violation{"burst_ms", "bursts need every_ms, and a burst_ms of at most that"};
  if (c.mode == fault_mode::down && (c.rate < 1 || c.count > 0))
    return config::violation{"mode", "down is all or nothing: it takes no rate and no count"};
  return std::nullopt;
}

const config::table<fault_rule>& phase_table() {
  using c = fault_rule;
  using mode = fault_mode;
  static const config::table<c> rows
    = config::table<c>{
        option{"mode", &c::mode,
               {{"none", mode::none},
                {"rate_limited", mode::rate_limited},
                {"rate_limited_tokens", mode::rate_limited_tokens},
                {"quota", mode::quota},
                {"overloaded", mode::overloaded},
                {"error_500", mode::error_500},
                {"error_502", mode::error_502},
                {"error_503", mode::error_503},
                {"slow_loris", mode::slow_loris},
                {"stall", mode::stall},
                {"stall_midway", mode::stall_midway},
                {"cut", mode::cut},
                {"cut_before", mode::cut_before},
                {"error_in_stream", mode::error_in_stream},
                {"wrong_json", mode::wrong_json},
                {"huge_chunk", mode::huge_chunk},
                {"wrong_type", mode::wrong_type},
                {"down", mode::down}},
               "What becomes of the calls it hits."}
          .required(),
        option{"rate", &c::rate, 0.0, 1.0, "Share of the calls."},
        option{"count", &c::count, std::uint64_t{0}, std::uint64_t{1} << 40,
               "Calls it may hit; 0: any number."},
        option{"from_ms", &c::from, milliseconds{0}, day, "Since the first call."},
        option{"to_ms", &c::to, milliseconds{0}, day, "Since the first call; 0: no end."},
        option{"every_ms", &c::every, milliseconds{0}, day,
               "Above 0: in bursts, one each so often."},
        option{"burst_ms", &c::burst, milliseconds{0}, day, "How long a burst is."},
        option{"retry_after_ms", &c::retry_after, milliseconds{0}, day,
               "What callers are told to wait."},
      }
        .check(check_rule);
  return rows;
}

const config::table<upstream_config>& upstream_table() {
  using c = upstream_config;
  static const config::table<c> rows
    = config::table<c>{
        option{"seed", &c::seed, std::uint64_t{0}, std::uint64_t{1} << 62,
               "For texts, latencies and faults."},
        option{"first_token_ms", &c::first_token, milliseconds{0}, day,
               "Median time to the first token."},
        option{"spread", &c::spread, 0.0, 5.0, "Sigma of the lognormal around it; 0: no spread."},
        option{"tokens_per_s", &c::tokens_per_s, 0.0, 1e9, "0: all at once."},
        option{"tokens_min", &c::tokens_min, 2u, 100'000u, "Shortest answer."},
        option{"tokens_max", &c::tokens_max, 2u, 100'000u, "Longest answer."},
        option{"concurrency_max", &c::concurrency_max, 0u, 1'000'000u,
               "Calls at work; 0: any number."},
        option{"queue_max", &c::queue_max, 0u, 1'000'000u,
               "Calls that wait for their turn; further ones hear that it is overloaded."},
        option{"requests_per_s", &c::requests_per_s, 0.0, 1e6,
               "Further calls are rate_limited; 0: no limit."},
        option{"requests_burst", &c::requests_burst, 1.0, 1e6, "What the limit lets pass at once."},
        option{"models", &c::models, "Listed."},
        option{"models_only", &c::models_only, "Models not listed are 404."},
        option{"key_required", &c::key_required, "Calls without a key are 401."},
        option{"flavour", &c::flavour,
               "The kind of server whose habits answers have: " + flavour_names() + "."},
        option{"huge_bytes", &c::huge, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The text of huge_chunk."},
        option{"loris_pause_ms", &c::loris_pause, milliseconds{1}, day,
               "Between two bytes of slow_loris."},
        option{"connections_max", &c::connections_max, 1u, 1'000'000u, "Open connections."},
        option{"body_bytes", &c::body_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The largest request."},
      }
        .check([](const upstream_config& u) -> std::optional<config::violation> {
          if (u.tokens_min > u.tokens_max)
            return config::violation{"tokens_min", "tokens_min must not be above tokens_max"};
          if (!u.flavour.empty() && find_flavour(u.flavour) == nullptr)
            return config::violation{"flavour", "flavour is one of " + flavour_names()};
          return std::nullopt;
        });
  return rows;
}

config::schema plan_schema() {
  config::schema accepted;
  accepted.section("upstream", config::cardinality::one, upstream_table(), "How calls go well.");
  accepted.section("phase", config::cardinality::many, phase_table(), "How they do not.");
  return accepted;
}

/// A JSON value of the kinds options have, as TOML writes it; empty for all others.
std::string toml_of(const nlohmann::json& value) {
  if (value.is_string())
    return config::quoted(value.get<std::string>());
  return value.is_number() || value.is_boolean() ? value.dump() : std::string{};
}

} // namespace

tl::expected<plan, config::diagnostics> load_plan(const std::string& path,
                                                  const std::vector<std::string>& sets) {
  const auto accepted = plan_schema();
  auto document = path.empty() ? config::load(accepted, {"(no plan)", "", {}, sets})
                               : config::load_file(accepted, path, {}, sets);
  if (!document)
    return tl::make_unexpected(document.error());
  return plan{document->get<upstream_config>("upstream"), document->list<fault_rule>("phase")};
}

tl::expected<std::vector<fault_rule>, std::string> read_rules(std::string_view json) {
  auto given = nlohmann::json::parse(json, nullptr, false);
  if (given.is_object())
    given = nlohmann::json::array({given});
  if (!given.is_array() || given.size() > rules_max)
    return tl::make_unexpected(
      std::string{"send a rule like {\"mode\": \"cut\", \"rate\": 0.5}, or a list of up to 64"});
  // The same table reads both, so that keys, ranges and checks are written down once.
  std::string text;
  for (const auto& rule : given) {
    text += "[[phase]]\n";
    if (!rule.is_object())
      return tl::make_unexpected(std::string{"a rule is an object"});
    for (const auto& [key, value] : rule.items())
      text += config::key_text(key) + " = " + toml_of(value) + "\n";
  }
  const auto read = config::load(plan_schema(), {"rules", text, {}, {}});
  if (!read)
    return tl::make_unexpected(read.error().front().message);
  return read->list<fault_rule>("phase");
}

} // namespace skep::cli::simulate
