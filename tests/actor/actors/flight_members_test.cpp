// Answers that are more than their text, put together by a flight.
#include "actors/flight/kept.hpp"
#include "tests/support/airport.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::airport;
using status = msg::cache_status;

TEST_CASE("a tool call that comes in pieces is shared, also with those who want it whole",
          "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto streamed = a.ask(airport::wish(1, true));
  auto whole = a.ask(airport::wish(1, false));
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  auto call = airport::piece("");
  call.tool_calls = {{0, "c", "function", "f", "{", ""}};
  out.chunk(call);
  call.tool_calls = {{0, "", "", "", "}", ""}};
  out.chunk(call);
  msg::chat_chunk last;
  last.finish_reason = "tool_calls";
  out.chunk(last);
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(streamed->complete());
  CHECK(a.upstream.asked.size() == 1);
  const auto* reply = whole->last<msg::chat_reply>();
  REQUIRE(reply != nullptr);
  CHECK(reply->choices.at(0).finish_reason == "tool_calls");
  CHECK(reply->choices.at(0).content_null);
  CHECK(reply->choices.at(0).tool_calls
        == std::vector<msg::tool_call>{{0, "c", "function", "f", "{}", ""}});
  CHECK(a.cache.puts.empty());
  CHECK(a.cache.releases.size() == 1);
}

TEST_CASE("a stream with members beside its text is kept and shared whole", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto streamed = a.ask(airport::wish(1, true));
  auto whole = a.ask(airport::wish(1, false));
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  auto piece = airport::piece("");
  piece.delta_rest = R"({"refusal":null})";
  out.chunk(piece);
  piece.delta_rest = R"({"reasoning":"hm"})";
  piece.rest = R"({"native_finish_reason":null})";
  out.chunk(piece);
  out.chunk(airport::piece("four"));
  piece = {};
  piece.finish_reason = "stop";
  piece.rest = R"({"native_finish_reason":"STOP"})";
  out.chunk(piece);
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(airport::text_of(*whole) == "four");
  CHECK(a.upstream.asked.size() == 1);
  REQUIRE(a.cache.puts.size() == 1);
  const auto value = kept_for(default_tenant, a.cache.puts[0].value);
  REQUIRE(value);
  const auto kept = decode<msg::chat_reply>(*value);
  REQUIRE(kept);
  CHECK(kept->choices.at(0).message_rest == R"({"refusal":null,"reasoning":"hm"})");
  CHECK(kept->choices.at(0).rest == R"({"native_finish_reason":"STOP"})");
}

TEST_CASE("who wants an answer whole that is too large to be put together is told so",
          "[actors][flight]") {
  flight_config rules;
  rules.buffer_max = 10'000;
  airport a{rules};
  a.upstream.hold = true;
  auto streamed = a.ask(airport::wish(1, true), 1 << 20);
  auto whole = a.ask(airport::wish(1, false));
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  for (int n = 0; n < 20; ++n)
    out.chunk(airport::piece(std::string(1000, 'x')));
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(airport::text_of(*streamed).size() == 20'000);
  CHECK(whole->why().code == errc::stream_cut);
  CHECK(a.upstream.asked.size() == 1);
  CHECK(a.counter("skep_flight_cut_total") == 1);
}
