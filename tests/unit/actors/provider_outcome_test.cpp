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
  CHECK(code_of(503) == errc::provider_overloaded);
  CHECK(code_of(504) == errc::deadline_exceeded);
  CHECK(code_of(529) == errc::provider_overloaded);
}

TEST_CASE("the provider's own words are kept, cut to a sane length", "[provider]") {
  CHECK(failure_of_status(400, error("x", "temperature is too high"), {}).detail
        == "temperature is too high");
  CHECK(failure_of_status(500, "<html>", {}).detail == "the provider answered 500");
  CHECK(failure_of_status(400, error("x", std::string(5000, 'y')), {}).detail.size() == 600);
}

TEST_CASE("a plain text is the provider's word, a page is not", "[provider]") {
  const auto detail = [](std::string_view body) { return failure_of_status(400, body, {}).detail; };
  CHECK(detail("model not loaded\r\n") == "model not loaded");
  CHECK(detail(R"("model not loaded")") == "model not loaded");
  CHECK(detail(" <!doctype html><html>") == "the provider answered 400");
  CHECK(detail(std::string_view{"\x1f\x8b\x08\0", 4}) == "the provider answered 400");
  CHECK(detail("{broken") == "the provider answered 400");
  CHECK(detail(std::string(5000, 'y')).size() == 600);
  CHECK(failure_of_status(302, "moved", {}).detail.starts_with("the provider answered 302"));
}

TEST_CASE("a fault of the request keeps the provider's members", "[provider]") {
  const auto why = failure_of_status(
    400,
    R"({"error":{"message":"Invalid 'temperature'","type":"invalid_request_error",)"
    R"("param":"temperature","code":"decimal_above_max_value"}})",
    {});
  CHECK(why.param == "temperature");
  CHECK(why.provider_type == "invalid_request_error");
  CHECK(why.provider_code == "decimal_above_max_value");
  // Our own codes stand for what clients act on, and a number is the status once more.
  CHECK(failure_of_status(400, error("context_length_exceeded"), {}).provider_code.empty());
  CHECK(
    failure_of_status(400, R"({"error":{"message":"m","code":400}})", {}).provider_code.empty());
  CHECK(failure_of_status(401, error("invalid_api_key"), {}).provider_code.empty());
  CHECK(failure_of_status(400, error("content_policy_violation"), {}).provider_code
        == "content_policy_violation");
}

TEST_CASE("one prompt that a filter refused is no trouble of the account", "[provider]") {
  const auto* const openrouter
    = R"({"error":{"message":"This model requires moderation. Your input was flagged for )"
      R"(\"violence\".","code":403,"metadata":{"reasons":["violence"]}}})";
  CHECK(code_of(403, openrouter) == errc::content_filtered);
  CHECK(code_of(403, R"({"error":{"message":"no","code":403,"metadata":{"reasons":["violence"]}}})")
        == errc::content_filtered);
  CHECK(
    code_of(403, R"({"code":"permission-denied","error":"Content violates usage guidelines. "})")
    == errc::content_filtered);
  CHECK(code_of(400, error("x", "Content Exists Risk")) == errc::content_filtered);
  CHECK(code_of(500, error("content_filter")) == errc::content_filtered);
  CHECK(code_of(500, error("x", "the worker was flagged as dead")) == errc::provider_failed);
}

TEST_CASE("what a 400 or a 403 says counts, not its number", "[provider]") {
  CHECK(code_of(403, error("model_not_found")) == errc::not_found);
  CHECK(code_of(400, error("model_not_found")) == errc::not_found);
  CHECK(code_of(403, error("insufficient_quota")) == errc::quota_exhausted);
  CHECK(code_of(403, error("unsupported_country_region_territory")) == errc::provider_auth_failed);
  CHECK(code_of(400, error("400", "API key not valid. Please pass a valid API key."))
        == errc::provider_auth_failed);
}

TEST_CASE("statuses that say nothing about the request do not blame it", "[provider]") {
  CHECK(code_of(301) == errc::provider_failed);
  CHECK(code_of(408) == errc::deadline_exceeded);
  CHECK(code_of(409) == errc::bad_request);
  CHECK(code_of(501) == errc::bad_request);
  CHECK(failure_of_status(409, "{}", {}).status == 409);
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
    return failure_of_transfer(result, "up").code;
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
  const auto read
    = [&](const net::fetch_headers& headers) { return retry_after_of(429, headers, now); };
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

TEST_CASE("a limit's reset stands in for a retry-after that is missing", "[provider]") {
  using std::chrono::milliseconds;
  // Wed, 21 Oct 2026 07:28:00 GMT.
  const auto now = std::chrono::system_clock::from_time_t(1'792'567'680);
  const auto read = [&](const net::fetch_headers& headers, int status = 429) {
    return retry_after_of(status, headers, now);
  };
  CHECK(read({{"x-ratelimit-reset-requests", "1s"}}) == milliseconds{1000});
  CHECK(read({{"x-ratelimit-reset-tokens", "6m0s"}}) == milliseconds{360'000});
  CHECK(read({{"x-ratelimit-reset-tokens", "12ms"}}) == milliseconds{12});
  CHECK(read({{"x-ratelimit-reset-tokens", "2m59.56s"}}) == milliseconds{179'560});
  CHECK(read({{"x-ratelimit-reset-tokens", "1d"}}) == milliseconds{3'600'000});
  CHECK(read({{"x-ratelimit-reset-requests", "7"}}) == milliseconds{7000});
  CHECK(read({{"anthropic-ratelimit-tokens-reset", "2026-10-21T07:28:30Z"}})
        == milliseconds{30'000});
  CHECK(read({{"anthropic-ratelimit-requests-reset", "2026-10-21T09:28:10.5+02:00"}})
        == milliseconds{10'500});
  CHECK(read({{"anthropic-ratelimit-requests-reset", "2026-10-21T07:27:59Z"}}) == milliseconds{0});
  // The limit that is used up counts; where none says so, the one that is full again first.
  net::fetch_headers both{{"x-ratelimit-reset-requests", "1s"},
                          {"x-ratelimit-reset-tokens", "20s"},
                          {"x-ratelimit-remaining-tokens", "5"}};
  CHECK(read(both) == milliseconds{1000});
  both.back().second = "0";
  CHECK(read(both) == milliseconds{20'000});
  both.emplace_back("Retry-After", "3");
  CHECK(read(both) == milliseconds{3000});
  // Only a 429 is about limits.
  CHECK(read({{"x-ratelimit-reset-requests", "1s"}}, 503) == milliseconds{0});
  CHECK(read({{"retry-after", "2"}}, 503) == milliseconds{2000});
  for (const auto* nonsense : {"", "s", "1", "-1s", "1x", "1s1", "tomorrow", "2026-10-21", "nan",
                               "2026-10-21T07:28:30", "2026-10-21T07:28:30+2"})
    CHECK(read({{"x-ratelimit-reset-tokens", nonsense}})
          == milliseconds{std::string_view{nonsense} == "1" ? 1000 : 0});
}

TEST_CASE("three kinds of 429 are told apart", "[provider]") {
  const auto of = [](const std::string& type, const std::string& message) {
    return code_of(429, R"({"error":{"type":")" + type + R"(","message":")" + message + R"("}})");
  };
  CHECK(of("rate_limit_error", "you may send 50 requests a minute") == errc::rate_limited);
  CHECK(of("tokens", "Rate limit reached for m on tokens per min") == errc::rate_limited);
  CHECK(of("RESOURCE_EXHAUSTED", "You exceeded your current quota") == errc::rate_limited);
  CHECK(of("insufficient_quota", "check your plan") == errc::quota_exhausted);
  CHECK(of("billing_error", "no") == errc::quota_exhausted);
  CHECK(of("x", "Insufficient credits. Add more") == errc::quota_exhausted);
  CHECK(of("engine_overloaded", "no") == errc::provider_overloaded);
  CHECK(of("x", "The model is currently overloaded, please try later")
        == errc::provider_overloaded);
  CHECK(of("x", "Overloaded") == errc::provider_overloaded);
}

TEST_CASE("Anthropic's errors are understood under any status", "[provider][anthropic]") {
  struct row {
    int status;
    const char* type;
    const char* message;
    errc expected;
  };
  const auto [status, type, message, expected] = GENERATE(
    row{400, "invalid_request_error", "messages: at least one", errc::bad_request},
    row{400, "invalid_request_error", "prompt is too long: 9 > 8", errc::context_overflow},
    row{400, "invalid_request_error", "Your credit balance is too low", errc::quota_exhausted},
    row{400, "invalid_request_error", "You have reached your specified API usage limits.",
        errc::quota_exhausted},
    row{401, "authentication_error", "invalid x-api-key", errc::provider_auth_failed},
    row{402, "billing_error", "pay", errc::quota_exhausted},
    row{403, "permission_error", "no", errc::provider_auth_failed},
    row{404, "not_found_error", "model: x", errc::not_found},
    row{413, "request_too_large", "32 MB", errc::too_large},
    row{429, "rate_limit_error", "slow", errc::rate_limited},
    row{500, "api_error", "oops", errc::provider_failed},
    row{504, "timeout_error", "late", errc::deadline_exceeded},
    row{529, "overloaded_error", "Overloaded", errc::provider_overloaded});
  const auto body = std::string{R"({"type":"error","error":{"type":")"} + type + R"(","message":")"
                    + message + R"("},"request_id":"req_1"})";
  INFO(body);
  CHECK(code_of(status, body) == expected);
  // In the middle of a stream there is no status.
  CHECK(failure_of_error(read_error(body)).code == expected);
}

TEST_CASE("every failure has its class of retry", "[provider]") {
  using flow::retry_class;
  const auto class_of = [](errc code, bool after_timeout = false) {
    return retry_class_of(failure{code}, after_timeout);
  };
  CHECK(class_of(errc::rate_limited) == retry_class::paced);
  for (const auto code :
       {errc::provider_failed, errc::provider_overloaded, errc::transport_failed, errc::stream_cut})
    CHECK(class_of(code) == retry_class::counted);
  CHECK(class_of(errc::deadline_exceeded) == retry_class::never);
  CHECK(class_of(errc::deadline_exceeded, true) == retry_class::counted);
  CHECK(retry_class_of(failure_of_status(302, "", {}), true) == retry_class::never);
  for (const auto code : {errc::bad_request, errc::quota_exhausted, errc::provider_auth_failed,
                          errc::context_overflow, errc::content_filtered, errc::not_found,
                          errc::cancelled, errc::overloaded, errc::too_large})
    CHECK(class_of(code) == retry_class::never);
}

TEST_CASE("a simulated answer depends on seed and request only, and says what it is",
          "[provider]") {
  simulated_config config;
  msg::chat_request request;
  request.model = "m";
  request.messages = {{"user", "hello", {}}};
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
