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

TEST_CASE("retry-after is read in all its forms", "[provider]") {
  using std::chrono::milliseconds;
  CHECK(retry_after_of({{"Retry-After", "2"}}) == milliseconds{2000});
  CHECK(retry_after_of({{"retry-after", "0.5"}}) == milliseconds{500});
  CHECK(retry_after_of({{"retry-after-ms", "120"}, {"retry-after", "9"}}) == milliseconds{120});
  CHECK(retry_after_of({{"retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"}}) == milliseconds{0});
  CHECK(retry_after_of({{"retry-after", "Fri, 01 Jan 2100 00:00:00 GMT"}})
        == milliseconds{3'600'000});
  for (const auto* nonsense : {"soon", "", "-5", "1e99x"})
    CHECK(retry_after_of({{"retry-after", nonsense}}) == milliseconds{0});
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
