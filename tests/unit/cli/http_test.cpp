#include "cli/http.hpp"
#include "tests/support/catch.hpp"

#include <cstdlib>

using namespace skep;
using namespace skep::cli;

TEST_CASE("an address may come with or without scheme and slash", "[cli]") {
  CHECK(base_url("127.0.0.1:8081") == "http://127.0.0.1:8081");
  CHECK(base_url("http://a:1/") == "http://a:1");
  CHECK(base_url("https://a//") == "https://a");
}

TEST_CASE("a name in a query keeps its bytes", "[cli]") {
  CHECK(url_encoded("node-1.eu_west~") == "node-1.eu_west~");
  CHECK(url_encoded("a b&c=d/\xc3\xa4") == "a%20b%26c%3Dd%2F%C3%A4");
}

TEST_CASE("a command's request carries the key of the environment", "[cli]") {
  unsetenv("SKEP_API_KEY");
  CHECK(!net::find_header(command_request("GET", "http://a").headers, "authorization"));
  setenv("SKEP_API_KEY", "sesame", 1);
  CHECK(net::find_header(command_request("GET", "http://a").headers, "authorization")
        == "Bearer sesame");
  unsetenv("SKEP_API_KEY");
}

TEST_CASE("a complaint names the status and what the node says", "[cli]") {
  net::fetch_result result;
  result.status = 404;
  result.body = R"({"error":{"message":"there is no node x"}})";
  CHECK(complaint_of(result) == "status 404: there is no node x");
  result.body = "gone";
  CHECK(complaint_of(result) == "status 404");
}
