#include "actors/provider/outcome.hpp"

#include "actors/common/openai_json.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>

namespace skep::actors {

namespace {

constexpr std::size_t detail_bytes_max = 600;
constexpr std::chrono::milliseconds retry_after_max{3'600'000};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string shown(int status, const provider_error& error) {
  auto text = error.message.empty() ? "the provider answered " + std::to_string(status)
                                    : error.message.substr(0, detail_bytes_max);
  return text;
}

errc code_of_429(const provider_error& error) {
  const bool quota = error.code == "insufficient_quota" || error.type == "insufficient_quota"
                     || error.code == "billing_hard_limit_reached"
                     || contains(error.code, "budget");
  return quota ? errc::quota_exhausted : errc::rate_limited;
}

errc code_of_400(const provider_error& error) {
  if (error.code == "context_length_exceeded" || contains(error.message, "maximum context length"))
    return errc::context_overflow;
  if (error.code == "content_filter" || error.code == "content_policy_violation")
    return errc::content_filtered;
  return errc::bad_request;
}

errc code_of(int status, const provider_error& error) {
  switch (status) {
    case 401:
    case 403: return errc::provider_auth_failed;
    case 402: return errc::quota_exhausted;
    case 404: return errc::not_found;
    case 408:
    case 504: return errc::deadline_exceeded;
    case 413: return errc::too_large;
    case 429: return code_of_429(error);
    default: break;
  }
  if (status >= 400 && status < 500)
    return code_of_400(error);
  return errc::provider_failed;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

std::chrono::milliseconds bounded(double ms) {
  return std::min(retry_after_max,
                  std::chrono::milliseconds{static_cast<std::int64_t>(std::min(ms, 1e9))});
}

/// "Wed, 21 Oct 2026 07:28:00 GMT".
std::chrono::milliseconds until_date(const std::string& text) {
  std::tm when{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when) == nullptr)
    return {};
  return bounded(std::max(0.0, std::difftime(timegm(&when), std::time(nullptr))) * 1000);
}

} // namespace

failure failure_of_status(int status, std::string_view body,
                          std::chrono::milliseconds retry_after) {
  const auto error = read_error(body);
  return failure{code_of(status, error), shown(status, error), retry_after};
}

failure failure_of_transfer(const net::fetch_result& result) {
  auto why = result.why;
  why.code = net::to_errc(result.error);
  return why;
}

std::chrono::milliseconds retry_after_of(const net::fetch_headers& headers) {
  if (const auto ms = net::find_header(headers, "retry-after-ms"))
    if (const auto value = number(*ms))
      return bounded(*value);
  if (const auto after = net::find_header(headers, "retry-after")) {
    if (const auto seconds = number(*after))
      return bounded(*seconds * 1000);
    return until_date(std::string{*after});
  }
  return {};
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
