#include "actors/provider/outcome.hpp"

#include "actors/provider/times.hpp"
#include "runtime/base/text.hpp"
#include "runtime/base/utf8.hpp"
#include "runtime/json/object.hpp"
#include "runtime/json/string.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t detail_bytes_max = 600;
constexpr milliseconds retry_after_max{3'600'000};

/// Any of the words stands in the error's code or type.
template <std::size_t N>
bool names(const provider_error& error, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return error.code.find(word) != std::string::npos || error.type.find(word) != std::string::npos;
  });
}

template <std::size_t N>
bool says(const provider_error& error, const std::array<std::string_view, N>& phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) {
    return error.message.find(phrase) != std::string::npos;
  });
}

/// An account with nothing left to spend; no waiting helps. "quota" alone says nothing: some call
/// their limit per minute so.
bool is_quota(const provider_error& error) {
  return names(error, std::array<std::string_view, 3>{"insufficient_quota", "billing", "budget"})
         || says(error, std::array<std::string_view, 4>{
                          "credit balance is too low", "nsufficient credits", "nsufficient balance",
                          "specified API usage limits"});
}

/// The provider's own load, not our rate.
bool is_overload(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"overloaded", "slow_down"})
         || says(error, std::array<std::string_view, 4>{"verloaded", "at capacity", "high demand",
                                                        "o capacity"});
}

// OpenAI and its peers name it; vLLM, llama.cpp and others only describe it.
bool is_context(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"context_length", "exceed_context"})
         || says(error, std::array<std::string_view, 3>{"maximum context length", "context window",
                                                        "prompt is too long"});
}

/// A filter refused the request: what is wrong is this prompt, whatever the status says.
bool names_filter(const provider_error& error) {
  return error.has_reasons
         || names(error,
                  std::array<std::string_view, 5>{"content_filter", "content_policy", "moderation",
                                                  "data_inspection", "DataInspection"});
}

// OpenRouter, xAI and DeepSeek only describe it.
bool is_filter(const provider_error& error) {
  return names_filter(error)
         || says(error,
                 std::array<std::string_view, 4>{"violates usage guidelines", "requires moderation",
                                                 "was flagged", "Content Exists Risk"});
}

bool is_model_missing(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"model_not_found", "not_found_error"});
}

// Gemini and xAI say so under a 400.
bool is_key_refused(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"invalid_api_key", "API_KEY_INVALID"})
         || says(error, std::array<std::string_view, 2>{"API key not valid", "ncorrect API key"});
}

/// What an error's type or code alone says, in the words of OpenAI's and Anthropic's APIs.
struct named_error {
  std::string_view word;
  errc code;
};
constexpr std::array named_errors{
  named_error{"rate_limit", errc::rate_limited},
  named_error{"authentication", errc::provider_auth_failed},
  named_error{"invalid_api_key", errc::provider_auth_failed},
  named_error{"permission", errc::provider_auth_failed},
  named_error{"not_found", errc::not_found},
  named_error{"request_too_large", errc::too_large},
  named_error{"timeout", errc::deadline_exceeded},
  named_error{"invalid_request", errc::bad_request},
};

/// What the words alone say; none when they say nothing.
errc code_of_words(const provider_error& error) {
  if (is_quota(error))
    return errc::quota_exhausted;
  if (is_context(error))
    return errc::context_overflow;
  if (is_filter(error))
    return errc::content_filtered;
  if (is_overload(error))
    return errc::provider_overloaded;
  for (const auto& known : named_errors)
    if (names(error, std::array{known.word}))
      return known.code;
  return errc::none;
}

/// Of a request the provider found fault with.
errc code_of_fault(const provider_error& error) {
  if (is_quota(error))
    return errc::quota_exhausted;
  if (is_context(error))
    return errc::context_overflow;
  if (is_filter(error))
    return errc::content_filtered;
  if (is_model_missing(error))
    return errc::not_found;
  return is_key_refused(error) ? errc::provider_auth_failed : errc::bad_request;
}

/// What somebody may not do: the prompt is refused, the model is not for this account, or the
/// account may nothing.
errc code_of_403(const provider_error& error) {
  if (is_quota(error))
    return errc::quota_exhausted;
  if (is_filter(error))
    return errc::content_filtered;
  return is_model_missing(error) ? errc::not_found : errc::provider_auth_failed;
}

/// The three kinds of 429.
errc code_of_429(const provider_error& error) {
  if (is_quota(error))
    return errc::quota_exhausted;
  return is_overload(error) ? errc::provider_overloaded : errc::rate_limited;
}

errc code_of_status(int status, const provider_error& error) {
  if (status >= 400 && names_filter(error))
    return errc::content_filtered;
  switch (status) {
    case 401: return errc::provider_auth_failed;
    case 402: return errc::quota_exhausted;
    case 403: return code_of_403(error);
    case 404: return errc::not_found;
    case 408:
    case 504: return errc::deadline_exceeded;
    case 425: return errc::provider_failed; // Too early for them; it passes.
    case 413: return is_context(error) ? errc::context_overflow : errc::too_large;
    case 429: return code_of_429(error);
    case 503:
    case 529: return errc::provider_overloaded;
    default: break;
  }
  // What they do not implement is asked of them in vain, like any other fault of the request.
  if ((status >= 400 && status < 500) || status == 501)
    return code_of_fault(error);
  return is_overload(error) ? errc::provider_overloaded : errc::provider_failed;
}

std::string words_of(const provider_error& error, std::string otherwise) {
  return error.message.empty() ? std::move(otherwise)
                               : std::string{utf8_prefix(error.message, detail_bytes_max)};
}

/// A body that is no JSON but says something to people; a page of HTML does not.
std::string plain_text(std::string_view body) {
  auto text = trimmed(body, white_space);
  if (const auto quoted = json::string_of(text))
    return *quoted;
  const bool printable = std::none_of(text.begin(), text.end(), [&](char c) {
    return static_cast<unsigned char>(c) < ' ' && white_space.find(c) == std::string_view::npos;
  });
  if (!printable || text.empty() || text.find_first_of("<{[") == 0)
    return {};
  return utf8_repaired(utf8_prefix(text, detail_bytes_max));
}

/// A fault of the request keeps the provider's own words for it. Codes of ours that clients act on
/// (context_length_exceeded, content_filter, model_not_found) stand for those.
void add_members(failure& why, const provider_error& error) {
  constexpr std::size_t member_bytes_max = 256;
  const auto kept
    = [](const std::string& text) { return std::string{utf8_prefix(text, member_bytes_max)}; };
  switch (why.code) {
    case errc::bad_request:
      why.provider_type = kept(error.type);
      if (!number_of(error.code)) // The status once more.
        why.provider_code = kept(error.code);
      break;
    case errc::content_filtered:
      if (error.code.starts_with("content_"))
        why.provider_code = kept(error.code);
      break;
    case errc::not_found:
    case errc::too_large:
    case errc::context_overflow: break;
    default: return;
  }
  why.param = kept(error.param);
}

milliseconds bounded(double ms) {
  return milliseconds{
    static_cast<std::int64_t>(std::min(ms, static_cast<double>(retry_after_max.count())))};
}

milliseconds until(std::chrono::system_clock::time_point then,
                   std::chrono::system_clock::time_point now) {
  return std::clamp(std::chrono::ceil<milliseconds>(then - now), milliseconds{0}, retry_after_max);
}

/// One limit's headers: how much is left of it, and when it is full again.
struct limit_headers {
  const char* left;
  const char* reset;
};
constexpr std::array limits{
  limit_headers{"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
  limit_headers{"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
  limit_headers{"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
  limit_headers{"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"},
  limit_headers{"anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset"},
  limit_headers{"anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset"},
};

/// A duration ("6m0s", or a number of seconds) or a point in time.
milliseconds reset_after(std::string_view text, std::chrono::system_clock::time_point now) {
  if (const auto seconds = number_of(text))
    return bounded(*seconds * 1000);
  if (const auto wait = duration_of(text))
    return std::min(*wait, retry_after_max);
  const auto then = instant_of(text);
  return then ? until(*then, now) : milliseconds{0};
}

/// Where no limit says that it is used up, the one that is full again first is taken: trying too
/// early costs one more 429, which says more.
milliseconds reset_of(const net::fetch_headers& headers,
                      std::chrono::system_clock::time_point now) {
  milliseconds of_used_up{0};
  auto first = retry_after_max;
  bool any = false;
  for (const auto& limit : limits) {
    const auto reset = net::find_header(headers, limit.reset);
    const auto wait = reset ? reset_after(*reset, now) : milliseconds{0};
    if (wait == milliseconds{0})
      continue;
    any = true;
    first = std::min(first, wait);
    if (const auto left = net::find_header(headers, limit.left); left && number_of(*left) == 0.0)
      of_used_up = std::max(of_used_up, wait);
  }
  if (!any)
    return {};
  return of_used_up > milliseconds{0} ? of_used_up : first;
}

} // namespace

failure failure_of_status(int status, std::string_view body, milliseconds retry_after) {
  auto error = read_error(body);
  const bool redirect = status >= 300 && status < 400;
  if (error.message.empty() && !redirect)
    error.message = plain_text(body);
  const auto code = code_of_status(status, error);
  auto otherwise = "the provider answered " + std::to_string(status);
  if (redirect)
    otherwise += ", a redirect, which is not followed; check its base_url";
  failure why{code, words_of(error, std::move(otherwise)), retry_after};
  why.status = static_cast<std::uint32_t>(status);
  add_members(why, error);
  return why;
}

void keep_body(failure& why, msg::native_api api, const std::string& body) {
  // Longer ones are no errors of an API.
  constexpr std::size_t body_bytes_max = 8192;
  if (api == msg::native_api::none || body.size() > body_bytes_max || !json::is_valid(body)
      || json::object{json::object{body}.at("error")}.text("message").empty())
    return;
  why.provider_api = api;
  why.provider_body = body;
}

failure failure_of_error(const provider_error& error) {
  auto code = code_of_words(error);
  const auto status = number_of(error.code).value_or(0);
  if (code == errc::none && status >= 400 && status < 600)
    code = code_of_status(static_cast<int>(status), error);
  if (code == errc::none)
    code = errc::provider_failed;
  failure why{code, words_of(error, "the provider reports an error without a message")};
  add_members(why, error);
  return why;
}

failure failure_of_transfer(const net::fetch_result& result, const std::string& provider) {
  using net::fetch_error;
  const auto about = [&](const char* what) {
    return failure{net::to_errc(result.error), "the provider " + provider + " " + what};
  };
  switch (result.error) {
    // The address and the headers come from the configuration, so the caller's request is not at
    // fault.
    case fetch_error::invalid_request:
      return failure{errc::bad_config, "the configuration of provider " + provider + " is wrong"};
    // Nor is it when the answer is larger than the configuration takes, or packed in a way nobody
    // reads; the next one would be, too.
    case fetch_error::too_large:
    case fetch_error::encoding: return failure{errc::malformed, result.why.detail};
    case fetch_error::dns:
    case fetch_error::connect_failed:
    case fetch_error::connect_timeout:
    case fetch_error::tls: return about("cannot be reached");
    case fetch_error::reset: return about("closed the connection before it answered");
    case fetch_error::first_byte_timeout: return about("did not begin to answer in time");
    case fetch_error::idle_timeout: return about("stood still in the middle of its answer");
    case fetch_error::total_timeout: return about("did not answer in time");
    case fetch_error::cut: return about("broke its answer off");
    case fetch_error::protocol: return about("sent something that is no HTTP");
    case fetch_error::none:
    case fetch_error::cancelled:
    case fetch_error::shutdown: break;
  }
  return failure{net::to_errc(result.error), result.why.detail};
}

milliseconds retry_after_of(int status, const net::fetch_headers& headers,
                            std::chrono::system_clock::time_point now) {
  if (const auto ms = net::find_header(headers, "retry-after-ms"))
    if (const auto value = number_of(*ms))
      return bounded(*value);
  if (const auto after = net::find_header(headers, "retry-after")) {
    if (const auto seconds = number_of(*after))
      return bounded(*seconds * 1000);
    const auto then = instant_of(*after);
    return then ? until(*then, now) : milliseconds{0};
  }
  return status == 429 ? reset_of(headers, now) : milliseconds{0};
}

flow::retry_class retry_class_of(const failure& why, bool after_timeout) {
  using flow::retry_class;
  if (why.status >= 300 && why.status < 400)
    return retry_class::never; // A redirect stays one.
  switch (why.code) {
    // They say when they will have us again.
    case errc::rate_limited: return retry_class::paced;
    // Their trouble, or the network's, which may pass.
    case errc::provider_overloaded:
    case errc::provider_failed:
    case errc::transport_failed:
    case errc::stream_cut: return retry_class::counted;
    case errc::deadline_exceeded: return after_timeout ? retry_class::counted : retry_class::never;
    // The same request meets the same answer.
    case errc::bad_request:
    case errc::not_found:
    case errc::too_large:
    case errc::quota_exhausted:
    case errc::provider_auth_failed:
    case errc::context_overflow:
    case errc::content_filtered:
    case errc::bad_config: return retry_class::never;
    // Of this node, not of the provider: whoever called decides.
    case errc::none:
    case errc::overloaded:
    case errc::circuit_open:
    case errc::unavailable:
    case errc::cancelled:
    case errc::actor_failed:
    case errc::node_down:
    case errc::cache_miss:
    case errc::unauthenticated:
    case errc::forbidden:
    case errc::malformed:
    case errc::unexpected_message:
    case errc::shutting_down: return retry_class::never;
  }
  return retry_class::never; // A newer peer's code.
}

std::vector<msg::native_header> limits_of(const net::fetch_headers& headers) {
  constexpr std::size_t headers_max = 32;
  constexpr std::size_t value_bytes_max = 256;
  std::vector<msg::native_header> found;
  for (const auto& [name, value] : headers) {
    auto known = name;
    std::transform(known.begin(), known.end(), known.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool tells
      = known.starts_with("x-ratelimit-") || known.starts_with("anthropic-ratelimit-");
    if (tells && name.size() + value.size() <= value_bytes_max && found.size() < headers_max)
      found.push_back({known, value});
  }
  return found;
}

} // namespace skep::actors
