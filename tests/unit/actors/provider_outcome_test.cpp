#include "actors/provider/outcome.hpp"
#include "actors/provider/simulated_connector.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

errc code_of(int status, const std::string& body = "{}") {
  return failure_of_status(status, body, {}).code;
}

std::string error(const std::string& code, const std::string& message = "no") {
  return R"({"error":{"message":")" + message + R"(","type":"t","code":")" + code + R"("}})";
}

} // namespace

TEST_CASE("a provider's statuses are told apart", "[provider]") {
  CHECK(code_of(400) == errc::bad_request);
  CHECK(code_of(400, error("context_length_exceeded")) == errc::context_overflow);
  CHECK(code_of(400, error("x", "the maximum context length is 8")) == errc::context_overflow);
  CHECK(code_of(400, error("content_filter")) == errc::content_filtered);
  CHECK(code_of(401) == errc::provider_auth_failed);
  CHECK(code_of(402) == errc::quota_exhausted);
  CHECK(code_of(403) == errc::provider_auth_failed);
  CHECK(code_of(404) == errc::not_found);
  CHECK(code_of(429) == errc::rate_limited);
  CHECK(code_of(429, error("insufficient_quota")) == errc::quota_exhausted);
  CHECK(code_of(500) == errc::provider_failed);
  CHECK(code_of(503) == errc::provider_failed);
  CHECK(code_of(504) == errc::deadline_exceeded);
  CHECK(code_of(529) == errc::provider_failed);
}

TEST_CASE("the provider's own words are kept, cut to a sane length", "[provider]") {
  CHECK(failure_of_status(400, error("x", "temperature is too high"), {}).detail
        == "temperature is too high");
  CHECK(failure_of_status(500, "<html>", {}).detail == "the provider answered 500");
  CHECK(failure_of_status(400, error("x", std::string(5000, 'y')), {}).detail.size() == 600);
}

TEST_CASE("statuses that say nothing about the request do not blame it", "[provider]") {
  CHECK(code_of(301) == errc::bad_config);
  CHECK(code_of(408) == errc::deadline_exceeded);
  CHECK(code_of(409) == errc::provider_failed);
  CHECK(code_of(413) == errc::too_large);
  CHECK(code_of(422) == errc::bad_request);
  CHECK(code_of(429, error("billing_hard_limit_reached")) == errc::quota_exhausted);
}

TEST_CASE("a detail is never cut in the middle of a character", "[provider]") {
  std::string umlauts;
  for (int i = 0; i < 500; ++i)
    umlauts += "\xc3\xa4";
  const auto detail = failure_of_status(400, error("x", "a" + umlauts), {}).detail;
  CHECK(detail.size() == 599);
}

TEST_CASE("an error under a good status is told apart by its words", "[provider]") {
  const auto code = [](const std::string& type, const std::string& word) {
    return failure_of_error(provider_error{"no", type, word}).code;
  };
  CHECK(code("insufficient_quota", "") == errc::quota_exhausted);
  CHECK(code("", "rate_limit_exceeded") == errc::rate_limited);
  CHECK(code("", "context_length_exceeded") == errc::context_overflow);
  CHECK(code("", "content_filter") == errc::content_filtered);
  CHECK(code("invalid_request_error", "") == errc::bad_request);
  CHECK(code("", "429") == errc::rate_limited);
  CHECK(code("", "502") == errc::provider_failed);
  CHECK(code("server_error", "") == errc::provider_failed);
  CHECK(failure_of_error({}).code == errc::provider_failed);
}

TEST_CASE("a transfer's end says whose fault it was", "[provider]") {
  const auto code = [](net::fetch_error error) {
    net::fetch_result result;
    result.error = error;
    return failure_of_transfer(result).code;
  };
  CHECK(code(net::fetch_error::connect_failed) == errc::transport_failed);
  CHECK(code(net::fetch_error::first_byte_timeout) == errc::deadline_exceeded);
  CHECK(code(net::fetch_error::cut) == errc::stream_cut);
  CHECK(code(net::fetch_error::invalid_request) == errc::bad_config);
}

TEST_CASE("retry-after is read in all its forms", "[provider]") {
  using std::chrono::milliseconds;
  // Wed, 21 Oct 2026 07:28:00 GMT.
  const auto now = std::chrono::system_clock::from_time_t(1'792'567'680);
  const auto read = [&](const net::fetch_headers& headers) { return retry_after_of(headers, now); };
  CHECK(read({{"Retry-After", "2"}}) == milliseconds{2000});
  CHECK(read({{"retry-after", "0.5"}}) == milliseconds{500});
  CHECK(read({{"retry-after-ms", "120"}, {"retry-after", "9"}}) == milliseconds{120});
  CHECK(read({{"retry-after-ms", "x"}, {"retry-after", "9"}}) == milliseconds{9000});
  CHECK(read({{"retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"}}) == milliseconds{30'000});
  CHECK(read({{"retry-after", "Wed, 21 Oct 2026 07:27:30 GMT"}}) == milliseconds{0});
  CHECK(read({{"retry-after", "Fri, 01 Jan 2100 00:00:00 GMT"}}) == milliseconds{3'600'000});
  CHECK(read({{"retry-after", "1e99"}}) == milliseconds{3'600'000});
  CHECK(read({}) == milliseconds{0});
  for (const auto* nonsense : {"soon", "", "-5", "1e99x", "nan", "inf"})
    CHECK(read({{"retry-after", nonsense}}) == milliseconds{0});
}

TEST_CASE("what would fail again is not tried again", "[provider]") {
  for (const auto code : {errc::rate_limited, errc::provider_failed, errc::transport_failed,
                          errc::stream_cut, errc::deadline_exceeded})
    CHECK(may_retry(failure{code}));
  for (const auto code : {errc::bad_request, errc::quota_exhausted, errc::provider_auth_failed,
                          errc::context_overflow, errc::content_filtered, errc::not_found,
                          errc::cancelled, errc::overloaded})
    CHECK(!may_retry(failure{code}));
}

TEST_CASE("a simulated answer depends on seed and request only, and says what it is",
          "[provider]") {
  simulated_config config;
  msg::chat_request request;
  request.model = "m";
  request.messages.push_back({"user", "hello", {}});
  const auto first = simulate(config, request);
  CHECK(first.tokens == simulate(config, request).tokens);
  CHECK(first.tokens.front() == "[simulated]");
  CHECK(first.tokens.size() >= config.tokens_min);
  CHECK(first.tokens.size() <= config.tokens_max);
  config.seed = 2;
  CHECK(simulate(config, request).tokens != first.tokens);
  request.parameters = R"({"max_tokens":3})";
  CHECK(simulate(config, request).tokens.size() == 3);
  CHECK(simulate(config, request).finish_reason == "length");
}
