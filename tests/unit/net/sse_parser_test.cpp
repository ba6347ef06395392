#include "runtime/net/sse_parser.hpp"
#include "tests/support/catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace skep;
using net::sse_event;
using net::sse_parser;

namespace {

struct seen {
  std::string event;
  std::string data;
  std::string id;

  friend bool operator==(const seen&, const seen&) = default;
};

std::ostream& operator<<(std::ostream& out, const seen& e) {
  return out << "{" << e.event << "|" << e.data << "|" << e.id << "}";
}

sse_parser::sink into(std::vector<seen>& events) {
  return [&events](const sse_event& e) {
    events.push_back({std::string{e.event}, std::string{e.data}, std::string{e.id}});
  };
}

std::vector<seen> parse(std::string_view bytes) {
  sse_parser parser;
  std::vector<seen> events;
  REQUIRE(parser.push(bytes, into(events)));
  return events;
}

} // namespace

TEST_CASE("an event stream gives its events in order", "[net][sse]") {
  CHECK(parse("data: one\n\ndata: two\n\ndata: [DONE]\n\n")
        == std::vector<seen>{{"", "one", ""}, {"", "two", ""}, {"", "[DONE]", ""}});
}

TEST_CASE("all three line ends are understood, mixed too", "[net][sse]") {
  CHECK(parse("data: a\r\n\r\ndata: b\r\rdata: c\n\n")
        == std::vector<seen>{{"", "a", ""}, {"", "b", ""}, {"", "c", ""}});
}

TEST_CASE("fields follow the standard to the letter", "[net][sse]") {
  SECTION("only the first blank after the colon is dropped") {
    CHECK(parse("data:  two blanks\n\n") == std::vector<seen>{{"", " two blanks", ""}});
    CHECK(parse("data:none\n\n") == std::vector<seen>{{"", "none", ""}});
  }
  SECTION("data lines are joined by a line feed, empty ones too") {
    CHECK(parse("data: a\ndata:\ndata\ndata: b\n\n") == std::vector<seen>{{"", "a\n\n\nb", ""}});
    CHECK(parse("data:\ndata: x\n\n") == std::vector<seen>{{"", "\nx", ""}});
  }
  SECTION("an event without data is dropped with its type") {
    CHECK(parse("event: ping\n\ndata: x\n\n") == std::vector<seen>{{"", "x", ""}});
  }
  SECTION("an event of empty data is none") {
    CHECK(parse("data\n\ndata:\n\nevent: ping\ndata: \n\ndata: x\n\n")
          == std::vector<seen>{{"", "x", ""}});
  }
  SECTION("the type belongs to one event, the id to all that follow") {
    CHECK(parse("event: e\nid: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n")
          == std::vector<seen>{{"e", "a", "7"}, {"", "b", "7"}, {"", "c", ""}});
  }
  SECTION("an id with a zero byte is ignored") {
    CHECK(parse(std::string_view{"id: 1\nid: a\0b\ndata: x\n\n", 23})
          == std::vector<seen>{{"", "x", "1"}});
  }
  SECTION("comments and unknown fields are ignored") {
    CHECK(parse(": keep-alive\nfoo: bar\nDATA: no\ndata: yes\n:\n\n")
          == std::vector<seen>{{"", "yes", ""}});
  }
  SECTION("a byte order mark is skipped at the very start only") {
    CHECK(parse("\xEF\xBB\xBF"
                "data: a\n\n\xEF\xBB\xBF"
                "data: b\n\n")
          == std::vector<seen>{{"", "a", ""}});
  }
}

TEST_CASE("retry takes whole numbers only", "[net][sse]") {
  sse_parser parser;
  std::vector<seen> events;
  REQUIRE(parser.push("retry: 2x\nretry: -5\nretry:\n", into(events)));
  CHECK(parser.retry_ms() == -1);
  REQUIRE(parser.push("retry: 2500\n", into(events)));
  CHECK(parser.retry_ms() == 2500);
}

TEST_CASE("a stream split at any byte gives the same events", "[net][sse]") {
  const std::string stream = "\xEF\xBB\xBF: hi\r\nevent: delta\r\nid: 1\r\ndata: {\"a\":1}\r\n\r\n"
                             "data: x\ndata: y\n\ndata: z\r\rdata\n\nevent: lost\n\ndata: end\n\n";
  const auto whole = parse(stream);
  REQUIRE(whole.size() == 4);
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    for (std::size_t second = first; second <= stream.size(); second += 3) {
      sse_parser parser;
      std::vector<seen> events;
      // Each piece in a string of its own: a view kept too long shows under the address sanitizer.
      for (const std::string& piece :
           {stream.substr(0, first), stream.substr(first, second - first), stream.substr(second)})
        REQUIRE(parser.push(std::string{piece}, into(events)));
      REQUIRE(events == whole);
    }
  }
}

TEST_CASE("a stream that ends inside an event is partial", "[net][sse]") {
  sse_parser parser;
  std::vector<seen> events;
  CHECK_FALSE(parser.partial());
  REQUIRE(parser.push("data: a", into(events)));
  CHECK(parser.partial());
  REQUIRE(parser.push("\n", into(events)));
  CHECK(parser.partial());
  REQUIRE(parser.push("\n", into(events)));
  CHECK_FALSE(parser.partial());
  CHECK(events == std::vector<seen>{{"", "a", ""}});
}

TEST_CASE("an event over the limit ends the stream with too_large", "[net][sse]") {
  sse_parser parser{32};
  std::vector<seen> events;
  SECTION("in one line without an end") {
    CHECK(parser.push("data: " + std::string(26, 'x'), into(events)));
    CHECK(parser.push("x", into(events)).error().code == errc::too_large);
  }
  SECTION("in many data lines") {
    REQUIRE(parser.push("data: 0123456789\ndata: 012345678\n", into(events)));
    CHECK(parser.push("data: 0123456789\n", into(events)).error().code == errc::too_large);
  }
  SECTION("in a comment") {
    CHECK(parser.push(":" + std::string(40, '.'), into(events)).error().code == errc::too_large);
  }
  SECTION("in whole lines that never were split") {
    CHECK(parser.push("data: " + std::string(27, 'x') + "\n\n", into(events)).error().code
          == errc::too_large);
  }
  CHECK(events.empty());
  CHECK(parser.push("\n\ndata: later\n\n", into(events)).error().code == errc::too_large);
  CHECK(events.empty());
}

TEST_CASE("the limit counts each event anew", "[net][sse]") {
  sse_parser parser{32};
  std::vector<seen> events;
  for (int i = 0; i < 100; ++i)
    REQUIRE(parser.push("data: 0123456789\n\n", into(events)));
  CHECK(events.size() == 100);
}
