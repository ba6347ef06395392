#include "runtime/net/http_session_parser.hpp"
#include "tests/support/catch.hpp"

#include <string>
#include <vector>

using namespace skep::net;
using outcome = http_request_parser::outcome;

namespace {

struct parsed {
  std::vector<http_request> requests;
  int refused = 0;
  std::string rest;
};

/// Feeds the bytes `step` at a time, as a slow network would.
parsed parse(std::string_view bytes, std::size_t step) {
  http_request_parser parser{4096};
  parsed result;
  while (!bytes.empty() && result.refused == 0) {
    result.rest.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    for (bool more = true; more && !result.rest.empty();) {
      auto [what, consumed] = parser.feed(result.rest);
      result.rest.erase(0, consumed);
      if (what == outcome::head)
        what = parser.begin_body(100'000);
      more = what == outcome::complete || (what == outcome::need_more && consumed > 0);
      if (what == outcome::refused)
        result.refused = parser.why().status;
      if (what != outcome::complete)
        continue;
      result.requests.push_back(parser.take());
      parser.reset();
    }
  }
  return result;
}

} // namespace

TEST_CASE("http parser finds the same requests however the bytes are cut", "[net][http]") {
  const std::string bytes
    = "\r\n\r\nPOST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=\"y\"\r\nhello\r\n06\r\n world\r\n000\r\nx: 1\r\ny: 2\r\n\r\n"
      "GET / HTTP/1.0\r\n\r\n"
      "PUT http://h?q HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const auto result = parse(bytes, step);
    REQUIRE(result.refused == 0);
    REQUIRE(result.requests.size() == 3);
    CHECK(result.requests[0].body == "hello world");
    CHECK(result.requests[0].headers.size() == 2);
    CHECK(result.requests[1].method == "GET");
    CHECK(result.requests[2].path == "/");
    CHECK(result.requests[2].query == "q");
    CHECK(result.requests[2].body == "abc");
    CHECK(result.rest.empty());
  }
}

TEST_CASE("http parser bounds chunk framing that carries no body", "[net][http]") {
  const std::string head = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const auto* endless : {"0", "1;x"}) {
    INFO(endless);
    CHECK(parse(head + endless + std::string(20'000, '0'), 1000).refused >= 400);
  }
  CHECK(parse(head + "0\r\nx: " + std::string(20'000, 't'), 1000).refused == 400);
  std::string many;
  for (int i = 0; i < 20'000; ++i)
    many += "1\r\nb\r\n";
  const auto result = parse(head + many + "0\r\n\r\n", 1000);
  REQUIRE(result.requests.size() == 1);
  CHECK(result.requests[0].body.size() == 20'000);
}
