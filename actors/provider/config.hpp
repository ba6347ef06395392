#pragma once

#include "apis/anthropic/client_request.hpp"
#include "apis/chat/cache_scope.hpp"
#include "runtime/config/option.hpp"
#include "runtime/config/secret.hpp"
#include "runtime/flow/retry_policy.hpp"
#include "runtime/node/outlier_options.hpp"
#include "runtime/node/upstream_options.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

enum class provider_kind : std::uint8_t { openai, anthropic, simulated };
/// Which calls go to the same of several base URLs.
enum class provider_affinity : std::uint8_t { none, prefix, session };
/// What an OpenAI-like provider is sent of what only other APIs have.
enum class provider_extensions : std::uint8_t { automatic, pass, drop };
/// Whether an OpenAI-like provider has the Responses API.
enum class provider_responses : std::uint8_t { automatic, on, off };
enum class latency_shape : std::uint8_t { constant, uniform, lognormal };

/// `[provider.NAME.simulated]`.
struct simulated_config {
  std::uint64_t seed = 1;
  /// Median time to the first token.
  std::chrono::milliseconds first_token{50};
  latency_shape shape = latency_shape::constant;
  /// uniform: half width as a share of the median; lognormal: sigma.
  double spread = 0.3;
  /// 0: as fast as the caller takes them.
  double tokens_per_s = 100;
  std::uint32_t tokens_min = 20;
  std::uint32_t tokens_max = 60;
  double failure_rate = 0;
  double rate_limited_rate = 0;
  double cut_rate = 0;
  std::chrono::milliseconds retry_after{1'000};
};

/// `[provider.NAME.anthropic]`.
struct anthropic_config {
  std::string version = "2023-06-01";
  std::vector<std::string> beta;
  /// 0: by the model.
  std::uint32_t max_tokens_default = 0;
  anthropic_reasoning reasoning = anthropic_reasoning::budget;
};

/// A base_url that means the kind's own public address.
inline constexpr std::string_view own_address = "auto";

/// `[provider.NAME]`.
struct provider_config {
  provider_kind kind = provider_kind::openai;
  /// "auto": the address of the kind's own service.
  std::string base_url{own_address};
  /// Several instead of the one; calls are balanced over them.
  std::vector<std::string> base_urls;
  /// One per base URL, or empty for equal shares.
  std::vector<std::uint32_t> weights;
  /// With several base URLs: what keeps calls at the same one.
  provider_affinity affinity = provider_affinity::none;
  /// About 256 tokens of English.
  std::uint32_t affinity_prefix = 1024;
  double affinity_load = 1.25;
  config::secret api_key;
  provider_extensions extensions = provider_extensions::automatic;
  provider_responses responses = provider_responses::automatic;
  /// Streams ask for usage (stream_options), which some servers refuse.
  bool stream_usage = true;
  std::string organization;
  std::string project;
  std::vector<std::string> models;
  std::chrono::milliseconds models_ttl{60'000};
  /// Of requests that name the provider instead of an agent.
  cache_scope cache = cache_scope::deterministic;
  std::chrono::milliseconds connect_timeout{5'000};
  /// Of streams, both: a whole answer may be silent until its caller's deadline.
  std::chrono::milliseconds first_byte_timeout{300'000};
  std::chrono::milliseconds idle_timeout{120'000};
  std::chrono::milliseconds total_timeout{86'400'000};
  /// Until an attempt has begun to answer; 0: no bound besides those above.
  std::chrono::milliseconds attempt_timeout{0};
  std::uint32_t attempts_max = 3;
  std::chrono::milliseconds retry_backoff_min{200};
  std::chrono::milliseconds retry_backoff_max{5'000};
  std::chrono::milliseconds retry_wait_max{5'000};
  std::uint32_t retry_paced_attempts_max = flow::retry_policy_config{}.paced_attempts_max;
  double retry_paced_ratio = flow::retry_policy_config{}.invited.retry_ratio;
  bool retry_after_timeout = false;
  double retry_ratio = flow::retry_budget_config{}.retry_ratio;
  double retry_reserve_per_s = flow::retry_budget_config{}.reserve_per_second;
  std::uint32_t in_flight_max = 1'000;
  std::uint32_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  std::uint64_t answer_max = 16u << 20;
  /// Bytes of a stream read ahead of its caller, whatever window the caller offers.
  std::uint64_t window_max = 256u << 10;
  limit_options limit;
  quota_options quota;
  breaker_options breaker;
  // Of several base URLs.
  outlier_options outlier;
  slow_start_options slow_start;
  anthropic_config anthropic;
  simulated_config simulated;
};

const config::table<provider_config>& provider_table();

} // namespace skep::actors
