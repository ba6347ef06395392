#include "actors/provider/role.hpp"

#include "actors/balancer/balancer.hpp"
#include "actors/provider/config.hpp"
#include "actors/provider/openai_connector.hpp"
#include "actors/provider/simulated_connector.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/flow/rendezvous.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

constexpr milliseconds one{1};
constexpr milliseconds day{86'400'000};

const config::table<simulated_config>& simulated_table() {
  static const config::table<simulated_config> rows
    = config::table<simulated_config>{
        option{"seed", &simulated_config::seed, std::uint64_t{0}, std::uint64_t{1} << 62,
               "The same seed and request give the same text."},
        option{"first_token_ms", &simulated_config::first_token, milliseconds{0}, day,
               "Median time to the first token."},
        option{"latency", &simulated_config::shape,
               {{"constant", latency_shape::constant},
                {"uniform", latency_shape::uniform},
                {"lognormal", latency_shape::lognormal}},
               "How the time to the first token is spread."},
        option{"spread", &simulated_config::spread, 0.0, 5.0,
               "uniform: half width as a share of the median; lognormal: sigma."},
        option{"tokens_per_s", &simulated_config::tokens_per_s, 0.0, 1e9,
               "0: as fast as the caller takes them."},
        option{"tokens_min", &simulated_config::tokens_min, 2u, 1'000'000u, "Shortest answer."},
        option{"tokens_max", &simulated_config::tokens_max, 2u, 1'000'000u, "Longest answer."},
        option{"failure_rate", &simulated_config::failure_rate, 0.0, 1.0,
               "Share of calls that fail like a 500."},
        option{"rate_limited_rate", &simulated_config::rate_limited_rate, 0.0, 1.0,
               "Share of calls that fail like a 429."},
        option{"cut_rate", &simulated_config::cut_rate, 0.0, 1.0, "Share of answers cut short."},
        option{"retry_after_ms", &simulated_config::retry_after, milliseconds{0}, day,
               "The Retry-After of a simulated 429."},
      }
        .check([](const simulated_config& c) -> std::optional<config::violation> {
          if (c.tokens_min <= c.tokens_max)
            return std::nullopt;
          return config::violation{"tokens_min", "must not be above tokens_max"};
        });
  return rows;
}

bool is_http(const std::string& url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

std::optional<config::violation> check_provider(const provider_config& c) {
  if (!is_http(c.base_url))
    return config::violation{"base_url", "must begin with http:// or https://"};
  for (const auto& url : c.base_urls)
    if (!is_http(url))
      return config::violation{"base_urls", "must begin with http:// or https://"};
  if (c.retry_backoff_min > c.retry_backoff_max)
    return config::violation{"retry_backoff_min_ms", "must not be above retry_backoff_max_ms"};
  if (!c.weights.empty() && c.weights.size() != c.base_urls.size())
    return config::violation{"weights", "must have one entry per entry of base_urls, or none"};
  if (c.affinity != provider_affinity::none && c.base_urls.size() < 2)
    return config::violation{"affinity", "needs at least two base_urls to choose from"};
  return std::nullopt;
}

std::string without_slash(std::string url) {
  while (url.ends_with('/'))
    url.pop_back();
  return url;
}

/// One connector with its guard; `url` is empty for simulated ones.
caf::actor start_connector(rt::role_context& node, const std::string& published,
                           const std::string& provider, const std::string& url,
                           const std::shared_ptr<const provider_config>& options) {
  rt::mailbox_bounds bounds;
  bounds.messages_max = std::max(1024u, options->in_flight_max);
  bounds.bytes_max = std::size_t{256} << 20;
  // A kind of its own per provider: its bounds follow from the provider's options.
  const auto& kind = node.kind("provider/" + provider, bounds);
  auto& env = node.env();
  auto& fetch = node.fetch();
  rt::child_spec spec;
  spec.name = published;
  spec.guard = guard_of(options->breaker);
  if (options->kind == provider_kind::simulated)
    spec.start = [&env, &kind, provider, options] {
      return env.spawn<simulated_connector>(kind, provider, options);
    };
  else
    spec.start = [&env, &kind, &fetch, provider, url, options] {
      return env.spawn<openai_connector>(kind, provider, without_slash(url), options, fetch);
    };
  return node.supervise(std::move(spec));
}

affinity_rules affinity_of(const provider_config& from) {
  affinity_rules rules;
  switch (from.affinity) {
    case provider_affinity::none: rules.kind = affinity_kind::none; break;
    case provider_affinity::prefix: rules.kind = affinity_kind::prefix; break;
    case provider_affinity::session: rules.kind = affinity_kind::session; break;
  }
  rules.prefix_bytes = from.affinity_prefix;
  rules.load_factor = from.affinity_load;
  return rules;
}

/// By its address, so that every node sends a conversation to the same server, and one that is
/// taken out of the list moves no other's conversations. The same address again is another worker.
std::uint64_t id_of(const std::vector<std::string>& urls, std::size_t n) {
  const auto end = urls.begin() + static_cast<std::ptrdiff_t>(n);
  const auto before = std::count(urls.begin(), end, urls[n]);
  return flow::mix(fnv1a(without_slash(urls[n])), static_cast<std::uint64_t>(before)) | 1;
}

void build_one(rt::role_context& node, const std::string& name, const provider_config& from) {
  const auto options = std::make_shared<const provider_config>(from);
  const auto published = "provider/" + name;
  if (from.base_urls.size() < 2) {
    const auto& url = from.base_urls.empty() ? from.base_url : from.base_urls.front();
    start_connector(node, published, name, url, options);
    return;
  }
  std::vector<balancer_member> members;
  for (std::size_t n = 0; n < from.base_urls.size(); ++n) {
    const auto member = published + "/" + std::to_string(n);
    start_connector(node, member, name, from.base_urls[n], options);
    members.push_back({node.env().find(member), from.weights.empty() ? 1 : from.weights[n],
                       from.in_flight_max, id_of(from.base_urls, n)});
  }
  const auto& kind = node.kind("balancer", {});
  auto& env = node.env();
  rt::child_spec spec;
  spec.name = published;
  spec.guard.use_breaker = false; // Its members have one each.
  spec.start = [&env, &kind, published, members, rules = affinity_of(from)] {
    return env.spawn<balancer>(kind, published, members, rules);
  };
  node.supervise(std::move(spec));
}

expected<void> build(rt::role_context& node) {
  for (const auto& [name, from] : node.config().all<provider_config>("provider"))
    build_one(node, name, from);
  return {};
}

} // namespace

const config::table<provider_config>& provider_table() {
  using c = provider_config;
  static const config::table<c> rows
    = config::table<c>{
        option{"kind", &c::kind,
               {{"openai", provider_kind::openai}, {"simulated", provider_kind::simulated}},
               "openai: any API that speaks OpenAI's; simulated: answers by itself."},
        option{"base_url", &c::base_url, "Where the API is."},
        option{"base_urls", &c::base_urls,
               "Several addresses of one API, instead of base_url; calls are balanced."},
        option{"weights", &c::weights, 1u, 1'000'000u,
               "The share of each base URL, in their order; empty: equal shares."},
        option{"affinity", &c::affinity,
               {{"none", provider_affinity::none},
                {"prefix", provider_affinity::prefix},
                {"session", provider_affinity::session}},
               "Several base URLs: conversations that begin alike (prefix), or calls with the same "
               "x-session-id (session), stay at one, whose prompt cache knows them; none: wherever "
               "there is least to do."},
        option{"affinity_prefix_bytes", &c::affinity_prefix, 16u, 1'048'576u,
               "How much of a conversation's beginning counts, up to its first user message; "
               "longer than the instructions that all conversations share."},
        option{"affinity_load", &c::affinity_load, 1.0, 100.0,
               "A base URL is passed over when it would have more than this many times the mean of "
               "the calls in flight."},
        option{"api_key", &c::api_key, "env.NAME of the variable that holds the key."},
        option{"organization", &c::organization, "Sent as OpenAI-Organization."},
        option{"project", &c::project, "Sent as OpenAI-Project."},
        option{"models", &c::models, "Models to list; empty: the provider is asked."},
        option{"models_ttl_ms", &c::models_ttl, milliseconds{0}, day,
               "How long the provider's list is kept."},
        option{"connect_timeout_ms", &c::connect_timeout, one, day, "Name lookup, TCP and TLS."},
        option{"first_byte_timeout_ms", &c::first_byte_timeout, one, day,
               "From the request to the first byte of the answer."},
        option{"idle_timeout_ms", &c::idle_timeout, one, day,
               "The longest silence in the middle of an answer."},
        option{"total_timeout_ms", &c::total_timeout, one, day, "One attempt from start to end."},
        option{"attempts_max", &c::attempts_max, 1u, 10u, "Tries per call, the first included."},
        option{"retry_backoff_min_ms", &c::retry_backoff_min, one, day,
               "Bound of the first random wait; doubles with each try."},
        option{"retry_backoff_max_ms", &c::retry_backoff_max, one, day, "The doubling ends here."},
        option{"retry_wait_max_ms", &c::retry_wait_max, milliseconds{0}, day,
               "All waits of a call between tries; a Retry-After beyond it is passed on instead."},
        option{"retry_ratio", &c::retry_ratio, 0.0, 1.0,
               "Retries per call, on average over all calls."},
        option{"retry_reserve_per_s", &c::retry_reserve_per_s, 0u, 100'000u,
               "Retries per second besides, so that few calls can be retried, too."},
        option{"in_flight_max", &c::in_flight_max, 1u, 1'000'000u,
               "Calls at work per base URL; further ones are refused."},
        option{"requests_per_minute", &c::requests_per_minute, 0u, 100'000'000u,
               "Calls per base URL and minute; 0: no limit."},
        option{"answer_bytes", &c::answer_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The largest whole answer."},
        option{"window_bytes", &c::window_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The most that is read of a stream ahead of its caller."},
        option{"breaker", &c::breaker, breaker_table(), "The circuit breaker per base URL."},
        option{"simulated", &c::simulated, simulated_table(), "What a simulated provider does."},
      }
        .check(check_provider);
  return rows;
}

rt::role provider_role() {
  rt::role made;
  made.name = "provider";
  made.declare = [](config::schema& accepted) {
    accepted.section("provider", config::cardinality::named, provider_table(),
                     "Where answers come from.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
