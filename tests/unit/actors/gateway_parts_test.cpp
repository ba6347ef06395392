#include "actors/gateway/config.hpp"
#include "actors/gateway/endpoints.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/http_fields.hpp"
#include "actors/gateway/stream_ledger.hpp"
#include "apis/chat/api_status.hpp"
#include "apis/openai/error_body.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/schema.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <set>
#include <string>

using namespace skep;
using namespace skep::actors;

TEST_CASE("every errc has one HTTP status, and those about time say when to come back",
          "[actors][gateway]") {
  const std::set<int> sensible{400, 401, 403, 404, 413, 429, 499, 500, 502, 503, 504};
  for (std::uint8_t n = 0; n < errc_count; ++n) {
    const auto code = static_cast<errc>(n);
    CAPTURE(to_string(code));
    const auto shown = api_status_of(code);
    CHECK(sensible.count(shown.status) == 1);
    CHECK_FALSE(shown.type.empty());
    const auto response = error_response(failure{code, "why", std::chrono::milliseconds{1500}});
    CHECK(response.status == shown.status);
    const bool timed = shown.status == 429 || shown.status == 503;
    CHECK(response.headers.contains("retry-after") == timed);
    if (timed) {
      CHECK(response.headers.get("retry-after") == "2");
      CHECK(response.headers.get("retry-after-ms") == "1500");
    }
    // A client's retry makes sense only where ours were not spent.
    CHECK(response.headers.get("x-should-retry") == (shown.should_retry ? "true" : "false"));
    CHECK((shown.status != 503 || shown.should_retry));
    CHECK((shown.status != 502 || !shown.should_retry));
  }
}

TEST_CASE("a provider's 409, 422 and 501 stay what they are", "[actors][gateway]") {
  failure why{errc::bad_request, "no"};
  for (const auto& [status, retry] :
       {std::pair{409, "true"}, std::pair{422, "false"}, std::pair{501, "false"}}) {
    why.status = static_cast<std::uint32_t>(status);
    for (const auto asked : {endpoint::chat, endpoint::messages}) {
      const auto response = error_response(why, {}, asked);
      CHECK(response.status == status);
      CHECK(response.headers.get("x-should-retry") == retry);
    }
  }
}

TEST_CASE("who has tried already tells the client not to, and how often it did",
          "[actors][gateway]") {
  failure why{errc::rate_limited, "slow down"};
  why.provider = "up";
  why.tries = 1;
  CHECK(error_response(why).headers.get("x-should-retry") == "true");
  why.tries = 4;
  const auto response = error_response(why);
  CHECK(response.headers.get("x-should-retry") == "false");
  CHECK(response.headers.get("x-skep-provider") == "up");
  CHECK(response.headers.get("x-skep-attempts") == "4");
  CHECK(response.headers.contains("retry-after"));
}

TEST_CASE("errors map as OpenAI's clients expect them", "[actors][gateway]") {
  struct row {
    errc code;
    int status;
    std::string_view shown;
  };
  const row table[] = {
    {errc::overloaded, 503, "server_is_overloaded"},
    {errc::circuit_open, 503, "server_is_overloaded"},
    {errc::unavailable, 503, "slow_down"},
    {errc::rate_limited, 429, "rate_limit_exceeded"},
    {errc::quota_exhausted, 429, "insufficient_quota"},
    {errc::unauthenticated, 401, "invalid_api_key"},
    {errc::not_found, 404, "model_not_found"},
    {errc::context_overflow, 400, "context_length_exceeded"},
    {errc::content_filtered, 400, "content_filter"},
    {errc::provider_auth_failed, 502, "upstream_credentials_exhausted"},
    {errc::provider_failed, 502, "upstream_failed"},
    {errc::deadline_exceeded, 504, "timeout"},
    {errc::bad_request, 400, ""},
    {errc::too_large, 413, "request_too_large"},
    {errc::actor_failed, 500, "internal_error"},
    {errc::cancelled, 499, "client_closed_request"},
  };
  for (const auto& each : table) {
    CAPTURE(to_string(each.code));
    CHECK(api_status_of(each.code).status == each.status);
    CHECK(api_status_of(each.code).code == each.shown);
  }
}

TEST_CASE("an error's envelope always has its four keys", "[actors][gateway]") {
  const auto body
    = nlohmann::json::parse(error_body(failure{errc::bad_request, "no \"model\""}, ""));
  CHECK(body
        == nlohmann::json{{"error",
                           {{"message", "no \"model\""},
                            {"type", "invalid_request_error"},
                            {"param", nullptr},
                            {"code", nullptr}}}});
  failure told{errc::bad_request, "Invalid 'temperature'"};
  told.param = "temperature";
  told.provider_type = "invalid_request_error";
  told.provider_code = "decimal_above_max_value";
  const auto as_it_came = nlohmann::json::parse(error_body(told, ""))["error"];
  CHECK(as_it_came["param"] == "temperature");
  CHECK(as_it_came["code"] == "decimal_above_max_value");
  const auto blamed = nlohmann::json::parse(error_body(failure{errc::not_found}, "model"));
  CHECK(blamed["error"]["param"] == "model");
  CHECK(blamed["error"]["message"] == "not_found");
  const auto refused = refused_response(431, "too long", {});
  CHECK(refused.headers.contains("x-request-id"));
  CHECK(nlohmann::json::parse(refused.body)["error"].size() == 4);
}

TEST_CASE("a retry-after is at least a millisecond and at most a minute", "[actors][gateway]") {
  const auto after = [](int ms) {
    return std::string{error_response(failure{errc::overloaded, "", std::chrono::milliseconds{ms}})
                         .headers.get("retry-after-ms")};
  };
  CHECK(after(0) == "1000");
  CHECK(after(1) == "1");
  CHECK(after(3'600'000) == "60000");
}

TEST_CASE("paths lead to endpoints with their methods", "[actors][gateway]") {
  CHECK(endpoint_of("/v1/chat/completions") == endpoint::chat);
  CHECK(endpoint_of("/v1/models") == endpoint::models);
  CHECK(endpoint_of("/api/v1/cache/stats") == endpoint::cache_stats);
  CHECK(endpoint_of("/api/v1/performance/cache/clear") == endpoint::cache_clear);
  CHECK(endpoint_of("/v1/models/a") == endpoint::model);
  CHECK(endpoint_of("/v1/models/") == endpoint::unknown);
  CHECK(endpoint_of("/") == endpoint::root);
  CHECK(endpoint_of("/healthz") == endpoint::unknown);
  CHECK(endpoint_of("") == endpoint::unknown);
  CHECK(allows(methods_of(endpoint::models), "GET"));
  CHECK(allows(methods_of(endpoint::models), "HEAD"));
  CHECK_FALSE(allows(methods_of(endpoint::models), "POST"));
  CHECK_FALSE(allows(methods_of(endpoint::chat), "GET"));
  CHECK_FALSE(allows(methods_of(endpoint::chat), ""));
  CHECK(model_id_of("/v1/models/openai%2Fgpt-4o") == "openai/gpt-4o");
  for (const auto open : {endpoint::health, endpoint::ready, endpoint::root})
    CHECK(access_of(open) == access::open);
  for (const auto asked : {endpoint::chat, endpoint::models, endpoint::model})
    CHECK(access_of(asked) == access::client);
  for (const auto operated : {endpoint::metrics, endpoint::cluster_drain, endpoint::debug_kill})
    CHECK(access_of(operated) == access::admin);
}

TEST_CASE("queries and escapes are decoded, and what is no escape stays", "[actors][gateway]") {
  CHECK(percent_decoded("a%20b%2fc") == "a b/c");
  CHECK(percent_decoded("100%") == "100%");
  CHECK(percent_decoded("%zz%4") == "%zz%4");
  CHECK(query_value("x=1&name=agent%2Fhelper&y=", "name") == "agent/helper");
  CHECK(query_value("name=a+b", "name") == "a b");
  CHECK(query_value("names=a", "name").empty());
  CHECK(query_value("", "name").empty());
}

TEST_CASE("Cache-Control says how the cache takes part", "[actors][gateway]") {
  using msg::cache_mode;
  const auto is = [](std::string_view header, cache_mode mode, std::uint32_t age) {
    const auto wish = read_cache_control(header);
    return wish.mode == mode && wish.age_max_s == age;
  };
  CHECK(is("", cache_mode::use, 0));
  CHECK(is("no-cache", cache_mode::refresh, 0));
  CHECK(is("No-Store", cache_mode::off, 0));
  CHECK(is("no-cache, no-store", cache_mode::off, 0));
  CHECK(is("no-store,no-cache", cache_mode::off, 0));
  CHECK(is("max-age=30", cache_mode::use, 30));
  CHECK(is(" Max-Age=30 , private", cache_mode::use, 30));
  CHECK(is("max-age=0", cache_mode::refresh, 0));
  CHECK(is("max-age=99999999999999", cache_mode::use, 0xffff'ffff));
  CHECK(is("max-age=", cache_mode::use, 0));
  CHECK(is(",,;=", cache_mode::use, 0));
}

TEST_CASE("bearer tokens are read whatever the case of their scheme", "[actors][gateway]") {
  CHECK(bearer_token("Bearer sk-1") == "sk-1");
  CHECK(bearer_token("bearer  sk-1 ") == "sk-1");
  CHECK(bearer_token("Basic sk-1").empty());
  CHECK(bearer_token("Bearer ").empty());
  CHECK(bearer_token("").empty());
  CHECK(same_secret("abc", "abc"));
  CHECK_FALSE(same_secret("abc", "abd"));
  CHECK_FALSE(same_secret("abc", "abcd"));
}

TEST_CASE("a chunk's cost is granted once the last byte of its frame is gone",
          "[actors][gateway]") {
  stream_ledger ledger;
  ledger.wrote(100, 40);
  ledger.wrote(10, 7);
  CHECK(ledger.owed() == 47);
  CHECK(ledger.drained(99) == 0);
  CHECK(ledger.drained(1) == 40);
  CHECK(ledger.drained(9) == 0);
  CHECK(ledger.drained(1) == 7);
  CHECK(ledger.owed() == 0);
}

TEST_CASE("credit is neither lost nor made, however the bytes drain", "[actors][gateway]") {
  stream_ledger ledger;
  std::uint64_t paid = 0;
  std::uint64_t granted = 0;
  std::size_t written = 0;
  std::size_t gone = 0;
  std::uint32_t random = 1;
  for (int n = 0; n < 10'000; ++n) {
    random = random * 1'664'525 + 1'013'904'223;
    const std::size_t frame = 1 + (random >> 8) % 500;
    const std::uint64_t cost = (random >> 20) % 300;
    ledger.wrote(frame, cost);
    written += frame;
    paid += cost;
    const auto part = std::min<std::size_t>(written - gone, (random >> 16) % 600);
    granted += ledger.drained(part);
    gone += part;
    REQUIRE(paid == granted + ledger.owed());
  }
  granted += ledger.drained(written - gone);
  CHECK(granted == paid);
}

TEST_CASE("a listen address is host and port", "[actors][gateway]") {
  using pair = std::pair<std::string, std::uint16_t>;
  // Nothing is bound here.
  const auto split
    = [](const std::string& host, const char* rest) { return split_listen(host + rest); };
  CHECK(split("127.0.0.1", ":8080") == pair{"127.0.0.1", 8080});
  CHECK(split("[::1]", ":0") == pair{"::1", 0});
  CHECK(split("localhost", ":80") == pair{"localhost", 80});
  for (const auto* rest : {"", ":", ":x", ":80x", ":70000", ":-1"})
    CHECK_FALSE(split("localhost", rest));
  for (const auto* host : {"", "::1", "[]", "["})
    CHECK_FALSE(split(host, ":80"));
}

TEST_CASE("the gateway's options take keys by reference and refuse a bad address",
          "[actors][gateway][config]") {
  config::schema accepted;
  accepted.section("gateway", config::cardinality::one, gateway_table(), "Clients.");
  config::sources from;
  from.file = "test.toml";
  from.env = config::environment{{{"DOOR_KEY", "sk-secret"}}};
  from.text = "[gateway]\nlisten = \"127.0.0.1:0\"\nstream_window_bytes = 4096\n"
              "[[gateway.key]]\nkey = \"env.DOOR_KEY\"\ntenant = \"blue\"\n";
  const auto read = config::load(accepted, from);
  REQUIRE(read);
  const auto& options = read->get<gateway_config>("gateway");
  CHECK(options.stream_window == 4096);
  REQUIRE(options.keys.size() == 1);
  CHECK(options.keys[0].key.reveal() == "sk-secret");
  CHECK(options.keys[0].tenant == "blue");
  from.text = "[gateway]\nlisten = \"8080\"\n";
  CHECK_FALSE(config::load(accepted, from));
  from.text
    = "[[gateway.key]]\nkey = \"env.DOOR_KEY\"\ntenant = \"" + std::string(65, 't') + "\"\n";
  CHECK_FALSE(config::load(accepted, from));
  from.text = "[[gateway.key]]\ntenant = \"blue\"\n";
  CHECK_FALSE(config::load(accepted, from));
}
