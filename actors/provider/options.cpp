// The options of [provider.NAME].
#include "actors/provider/config.hpp"

#include <optional>

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

const config::table<anthropic_config>& anthropic_table() {
  using c = anthropic_config;
  static const config::table<c> rows{
    option{"version", &c::version, "Sent as anthropic-version."},
    option{"beta", &c::beta, "Sent as anthropic-beta: features that are not yet general."},
    option{"max_tokens_default", &c::max_tokens_default, 0u, 10'000'000u,
           "max_tokens of calls that name none; the API demands one. 0: by the model's name, "
           "32,000 for Claudes since 3.7, less for earlier ones, 8,192 for others."},
    option{"reasoning",
           &c::reasoning,
           {{"budget", anthropic_reasoning::budget}, {"adaptive", anthropic_reasoning::adaptive}},
           "How a call's reasoning_effort is said. budget: thinking with a budget of tokens, which "
           "models since Opus 4.7 refuse; adaptive: adaptive thinking and output_config.effort, "
           "which older models refuse."},
  };
  return rows;
}

bool is_http(const std::string& url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

std::optional<config::violation> check_addresses(const provider_config& c) {
  constexpr auto no_user = " must not hold a user or password: it is printed; say api_key = "
                           "\"env.NAME\"";
  if (c.base_url != own_address && !is_http(c.base_url))
    return config::violation{"base_url",
                             "base_url must begin with http:// or https://, or be \"auto\""};
  if (config::has_user(c.base_url))
    return config::violation{"base_url", std::string{"base_url"} + no_user};
  for (const auto& url : c.base_urls) {
    if (!is_http(url))
      return config::violation{"base_urls", "base_urls must begin with http:// or https://"};
    if (config::has_user(url))
      return config::violation{"base_urls", std::string{"base_urls"} + no_user};
  }
  return std::nullopt;
}

std::optional<config::violation> check_provider(const provider_config& c) {
  if (auto wrong = check_addresses(c))
    return wrong;
  if (c.retry_backoff_min > c.retry_backoff_max)
    return config::violation{"retry_backoff_min_ms", "must not be above retry_backoff_max_ms"};
  if (!c.weights.empty() && c.weights.size() != c.base_urls.size())
    return config::violation{"weights", "must have one entry per entry of base_urls, or none"};
  if (c.affinity != provider_affinity::none && c.base_urls.size() < 2)
    return config::violation{"affinity", "needs at least two base_urls to choose from"};
  return std::nullopt;
}

/// Where the API is, and who asks.
config::table<provider_config> address_options() {
  using c = provider_config;
  return {
    option{"kind",
           &c::kind,
           {{"openai", provider_kind::openai},
            {"anthropic", provider_kind::anthropic},
            {"simulated", provider_kind::simulated}},
           "openai: any API that speaks OpenAI's; anthropic: any that speaks Anthropic's "
           "Messages API; simulated: answers by itself."},
    option{"base_url", &c::base_url,
           "Where the API is, up to and without /chat/completions or /messages; auto: "
           "https://api.openai.com/v1, or https://api.anthropic.com/v1 for kind anthropic."},
    option{"base_urls", &c::base_urls,
           "Several addresses of one API, instead of base_url; calls are balanced."},
    option{"weights", &c::weights, 1u, 1'000'000u,
           "The share of each base URL, in their order; empty: equal shares."},
    option{"affinity",
           &c::affinity,
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
    option{"extensions",
           &c::extensions,
           {{"auto", provider_extensions::automatic},
            {"pass", provider_extensions::pass},
            {"drop", provider_extensions::drop}},
           "kind openai: what only other APIs have (thinking, cache_control, top_k, "
           "reasoning_content) is passed on, or left out; auto: left out at api.openai.com, which "
           "refuses what it does not know."},
    option{
      "responses",
      &c::responses,
      {{"auto", provider_responses::automatic},
       {"true", provider_responses::on},
       {"false", provider_responses::off}},
      "kind openai: requests of the Responses API go to the provider's own as they came, with "
      "hosted tools, reasoning items and all; else they become chat completions. auto: at "
      "api.openai.com, Azure OpenAI and x.ai, where base_url is one. true: the server must keep "
      "its responses, for previous_response_id, and all of base_urls must know them."},
    option{"stream_usage", &c::stream_usage,
           "kind openai: streams ask for their usage with stream_options.include_usage; false for "
           "servers that refuse the member: usage is estimated then, unless they send it anyway."},
    option{"organization", &c::organization, "Sent as OpenAI-Organization."},
    option{"project", &c::project, "Sent as OpenAI-Project."},
    option{"models", &c::models, "Models to list; empty: the provider is asked."},
    option{"models_ttl_ms", &c::models_ttl, milliseconds{0}, day,
           "How long the provider's list is kept."},
    option{"cache",
           &c::cache,
           {{"deterministic", cache_scope::deterministic},
            {"all", cache_scope::all},
            {"off", cache_scope::off},
            {"true", cache_scope::all},
            {"false", cache_scope::off}},
           "Which requests for PROVIDER/MODEL may get an answer that was made for an equal one; as "
           "an agent's cache, which counts where an agent is asked."},
  };
}

/// How long a call may take, and how it is tried again.
config::table<provider_config> attempt_options() {
  using c = provider_config;
  return {
    option{"connect_timeout_ms", &c::connect_timeout, one, day, "Name lookup, TCP and TLS."},
    option{
      "first_byte_timeout_ms", &c::first_byte_timeout, one, day,
      "Streams: from the request to the first byte of the answer. A whole answer may be silent "
      "as long as its caller waits."},
    option{"idle_timeout_ms", &c::idle_timeout, one, day,
           "Streams: the longest silence in the middle of an answer."},
    option{"total_timeout_ms", &c::total_timeout, one, day,
           "One attempt from start to end, however it moves."},
    option{"attempt_timeout_ms", &c::attempt_timeout, milliseconds{0}, day,
           "Until an attempt has begun to answer (a stream's first piece, or the whole of a "
           "whole answer), however busily it sends something else; shorter than the calls' "
           "deadline, it leaves time for another model. 0: no such bound."},
    option{"attempts_max", &c::attempts_max, 1u, 10u,
           "Tries per call, the first included; those that end in a 429 count by themselves."},
    option{"retry_backoff_min_ms", &c::retry_backoff_min, one, day,
           "Bound of the first random wait; doubles with each try."},
    option{"retry_backoff_max_ms", &c::retry_backoff_max, one, day, "The doubling ends here."},
    option{"retry_wait_max_ms", &c::retry_wait_max, milliseconds{0}, day,
           "All waits of a call between tries; a Retry-After beyond it is passed on instead."},
    option{"retry_paced_attempts_max", &c::retry_paced_attempts_max, 1u, 100u,
           "Tries of a call that meets 429s, the first included; within retry_wait_max_ms."},
    option{"retry_after_timeout", &c::retry_after_timeout,
           "Try again after a time-out, too. The provider may have served the call, and charge it "
           "twice."},
    option{"retry_paced_ratio", &c::retry_paced_ratio, 0.0, 10.0,
           "Retries after a 429 with a Retry-After per call, on average over all calls."},
    option{"retry_ratio", &c::retry_ratio, 0.0, 1.0,
           "Retries per call, on average over all calls."},
    option{"retry_reserve_per_s", &c::retry_reserve_per_s, 0.0, 1e5,
           "Retries per second besides, so that few calls can be retried, too."},
  };
}

/// What is admitted, and what a kind needs besides.
config::table<provider_config> bound_options() {
  using c = provider_config;
  return {
    option{"in_flight_max", &c::in_flight_max, 1u, 1'000'000u,
           "Calls at work per base URL; further ones are refused."},
    option{"requests_per_minute", &c::requests_per_minute, 0u, 100'000'000u,
           "Calls per base URL and minute; 0: no limit."},
    option{"tokens_per_minute", &c::tokens_per_minute, std::uint64_t{0}, std::uint64_t{1} << 40,
           "Tokens per base URL and minute, in and out; estimated when a call comes, corrected "
           "when it has ended. 0: no limit."},
    option{"answer_bytes", &c::answer_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
           "The largest whole answer."},
    option{"window_bytes", &c::window_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
           "The most that is read of a stream ahead of its caller."},
    option{"limit", &c::limit, limit_table(), "The adaptive limit of calls per base URL."},
    option{"quota", &c::quota, quota_table(), "What happens when the account's quota is spent."},
    option{"outlier", &c::outlier, outlier_table(),
           "Several base URLs: when one that does worse than the others is left out."},
    option{"slow_start", &c::slow_start, slow_start_table(),
           "Several base URLs: how one that came back gets its share again."},
    option{"breaker", &c::breaker, breaker_table(), "The circuit breaker per base URL."},
    option{"anthropic", &c::anthropic, anthropic_table(), "What kind anthropic needs besides."},
    option{"simulated", &c::simulated, simulated_table(), "What a simulated provider does."},
  };
}

} // namespace

const config::table<provider_config>& provider_table() {
  static const config::table<provider_config> rows
    = address_options().with(attempt_options()).with(bound_options()).check(check_provider);
  return rows;
}

} // namespace skep::actors
