#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;

TEST_CASE("every errc has a status a client understands", "[gateway]") {
  for (std::uint8_t value = 0; value < errc_count; ++value) {
    const failure why{*errc_from(value), "text", std::chrono::milliseconds{1500}};
    const auto response = error_response(why, "messages", "id-1");
    CHECK(response.status >= 400);
    CHECK(response.headers.get("x-request-id") == "id-1");
    const auto body = nlohmann::json::parse(response.body);
    CHECK(body["error"].size() == 4);
    CHECK(body["error"]["message"] == "text");
    CHECK(body["error"]["param"] == "messages");
    const bool says_when = response.status == 429 || response.status == 503;
    CHECK(response.headers.contains("retry-after") == says_when);
    if (says_when) {
      CHECK(response.headers.get("retry-after") == "2");
      CHECK(response.headers.get("retry-after-ms") == "1500");
    }
  }
}

TEST_CASE("a refusal always says when, within what clients obey", "[gateway]") {
  const auto after = [](std::int64_t ms) {
    const failure why{errc::overloaded, "", std::chrono::milliseconds{ms}};
    return std::string{error_response(why, "", "x").headers.get("retry-after")};
  };
  CHECK(after(0) == "1");
  CHECK(after(1) == "1");
  CHECK(after(1001) == "2");
  CHECK(after(3'600'000) == "60");
}

TEST_CASE("cache-control is read as a client may write it", "[gateway]") {
  CHECK(read_cache_control("").mode == msg::cache_mode::use);
  CHECK(read_cache_control("no-cache").mode == msg::cache_mode::refresh);
  CHECK(read_cache_control("No-Store").mode == msg::cache_mode::off);
  CHECK(read_cache_control("no-cache, no-store").mode == msg::cache_mode::off);
  CHECK(read_cache_control("no-store,no-cache").mode == msg::cache_mode::off);
  CHECK(read_cache_control(" max-age=60 ").age_max_s == 60);
  CHECK(read_cache_control("max-age=0").mode == msg::cache_mode::refresh);
  CHECK(read_cache_control("private, stale-if-error=5").mode == msg::cache_mode::use);
}

TEST_CASE("a listen address is an address and a port", "[gateway]") {
  CHECK(split_listen("127.0.0.1:80") == std::pair{std::string{"127.0.0.1"}, std::uint16_t{80}});
  CHECK(split_listen("[::1]:0") == std::pair{std::string{"::1"}, std::uint16_t{0}});
  const auto too_high = "127.0.0.1:" + std::string(5, '7');
  for (const std::string& wrong : std::vector<std::string>{
         "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", too_high, "::1:80"})
    CHECK(!split_listen(wrong));
}
