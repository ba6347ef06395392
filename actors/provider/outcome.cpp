#include "actors/provider/outcome.hpp"

#include "runtime/base/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
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

bool is_quota(const provider_error& error) {
  return names(error, std::array<std::string_view, 3>{"insufficient_quota", "billing", "budget"});
}

// OpenAI and its peers name it; vLLM, llama.cpp and others only describe it.
bool is_context(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"context_length", "exceed_context"})
         || says(error, std::array<std::string_view, 3>{"maximum context length", "context window",
                                                        "prompt is too long"});
}

bool is_filter(const provider_error& error) {
  return names(error, std::array<std::string_view, 2>{"content_filter", "content_policy"});
}

/// What the words alone say; none when they say nothing.
errc code_of_words(const provider_error& error) {
  if (is_quota(error))
    return errc::quota_exhausted;
  if (is_context(error))
    return errc::context_overflow;
  if (is_filter(error))
    return errc::content_filtered;
  if (names(error, std::array<std::string_view, 1>{"rate_limit"}))
    return errc::rate_limited;
  if (names(error, std::array<std::string_view, 1>{"invalid_request"}))
    return errc::bad_request;
  return errc::none;
}

errc code_of_status(int status, const provider_error& error) {
  switch (status) {
    case 401:
    case 403: return errc::provider_auth_failed;
    case 402: return errc::quota_exhausted;
    case 404: return errc::not_found;
    case 408:
    case 504: return errc::deadline_exceeded;
    case 409:
    case 425: return errc::provider_failed; // A conflict on their side; it passes.
    case 413: return errc::too_large;
    case 429: return is_quota(error) ? errc::quota_exhausted : errc::rate_limited;
    default: break;
  }
  if (status >= 300 && status < 400)
    return errc::bad_config;
  if (status >= 400 && status < 500)
    return is_context(error)  ? errc::context_overflow
           : is_filter(error) ? errc::content_filtered
                              : errc::bad_request;
  return errc::provider_failed;
}

std::string words_of(const provider_error& error, std::string otherwise) {
  return error.message.empty() ? std::move(otherwise)
                               : std::string{utf8_prefix(error.message, detail_bytes_max)};
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return all && std::isfinite(value) && value >= 0 ? std::optional{value} : std::nullopt;
}

milliseconds bounded(double ms) {
  return milliseconds{
    static_cast<std::int64_t>(std::min(ms, static_cast<double>(retry_after_max.count())))};
}

/// "Wed, 21 Oct 2026 07:28:00 GMT".
milliseconds until_date(const std::string& text, std::chrono::system_clock::time_point now) {
  std::tm when{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when) == nullptr)
    return {};
  const auto then = std::chrono::system_clock::from_time_t(timegm(&when));
  return std::clamp(std::chrono::ceil<milliseconds>(then - now), milliseconds{0}, retry_after_max);
}

} // namespace

failure failure_of_status(int status, std::string_view body, milliseconds retry_after) {
  const auto error = read_error(body);
  const auto code = code_of_status(status, error);
  auto otherwise = "the provider answered " + std::to_string(status);
  if (code == errc::bad_config)
    return failure{code, otherwise + ", a redirect, which is not followed; check its base_urls"};
  return failure{code, words_of(error, std::move(otherwise)), retry_after};
}

failure failure_of_error(const provider_error& error) {
  auto code = code_of_words(error);
  const auto status = number(error.code).value_or(0);
  if (code == errc::none && status >= 400 && status < 600)
    code = code_of_status(static_cast<int>(status), error);
  if (code == errc::none)
    code = errc::provider_failed;
  return failure{code, words_of(error, "the provider reports an error without a message")};
}

failure failure_of_transfer(const net::fetch_result& result) {
  // The address and the headers come from the configuration, so the caller's request is not at
  // fault.
  if (result.error == net::fetch_error::invalid_request)
    return failure{errc::bad_config, result.why.detail};
  return failure{net::to_errc(result.error), result.why.detail, result.why.retry_after};
}

milliseconds retry_after_of(const net::fetch_headers& headers,
                            std::chrono::system_clock::time_point now) {
  if (const auto ms = net::find_header(headers, "retry-after-ms"))
    if (const auto value = number(*ms))
      return bounded(*value);
  const auto after = net::find_header(headers, "retry-after");
  if (!after)
    return {};
  if (const auto seconds = number(*after))
    return bounded(*seconds * 1000);
  return until_date(std::string{*after}, now);
}

bool may_retry(const failure& why) {
  switch (why.code) {
    case errc::rate_limited:
    case errc::provider_failed:
    case errc::transport_failed:
    case errc::stream_cut:
    case errc::deadline_exceeded: return true;
    default: return false;
  }
}

} // namespace skep::actors
