#include "actors/flight/policy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/openai_members.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

struct example {
  std::string content;
  std::string finish_reason;
  std::string message_rest;
  std::string rest;
  std::string parameters;
};

bool kept(const example& e) {
  msg::chat_reply reply;
  auto& choice = reply.choices.emplace_back();
  choice.content = e.content;
  choice.finish_reason = e.finish_reason;
  test::take_members(choice, e.message_rest);
  choice.rest = e.rest;
  return may_store(reply, e.parameters);
}

} // namespace

TEST_CASE("an answer that ended by itself is kept, whatever else it says", "[actors][flight]") {
  const auto e = GENERATE(values<example>({
    {"A.", "stop", "", "", ""},
    {"A.", "eos", "", "", ""},
    {"A.", "stop", R"({"tool_calls":null,"function_call":null,"refusal":null})", "", ""},
    {"A.", "stop", R"({"tool_calls":[],"function_call":{}})", "", ""},
    {"A.", "stop", R"({"tool_calls": [ ]})", "", ""},
    {"A.", "stop", R"({"function_call":{"name":"","arguments":""},"refusal":""})", "", ""},
    {"A.", "stop", R"({"reasoning":"he said \"tool_calls\""})", "", ""},
    {"A.", "stop", "", R"({"logprobs":null,"stop_reason":null,"content_filter_results":{}})", ""},
    {"A.", "stop", "", R"({"stop_reason":151645})", ""},
    {"A.", "stop", "", R"({"stop_reason":"END"})", R"({"stop":["END"]})"},
    {"A.", "stop", "", R"({"stop_reason":"END"})", R"({"stop":"END"})"},
    {"A.", "stop", "", R"({"stop_sequence":"END"})", ""},
    {"", "stop", R"({"content":[{"type":"text","text":"A."}]})", "", ""},
  }));
  CAPTURE(e.finish_reason, e.message_rest, e.rest);
  CHECK(kept(e));
}

TEST_CASE("what was cut, paused, filtered or refused is never kept, nor a tool call",
          "[actors][flight]") {
  const auto e = GENERATE(values<example>({
    {"A.", "", "", "", ""},
    {"A.", "length", "", "", ""},
    {"A.", "content_filter", "", "", ""},
    {"A.", "tool_calls", "", "", ""},
    {"A.", "stop", "", R"({"stop_reason":"pause_turn"})", ""},
    {"A.", "stop", "", R"({"stop_reason":"pause_turn"})", R"({"stop":["END"]})"},
    {"A.", "stop", R"({"tool_calls":[{"id":"1"}]})", "", ""},
    {"A.", "stop", R"({"tool\u005fcalls":[{"id":"1"}]})", "", ""},
    {"A.", "stop", R"({"function_call":{"name":"f"}})", "", ""},
    {"", "stop", R"({"refusal":"no"})", "", ""},
    {"A.", "stop", R"({"refusal":"no"})", "", ""},
    {"", "stop", R"({"reasoning":"hm"})", "", ""},
    {"", "stop", "", "", ""},
    {" \n", "stop", "", "", ""},
    {"", "stop", R"({"refusal":null})", "", ""},
    {"", "stop", R"({"content":[{"type":"text","text":"\n"}]})", "", ""},
  }));
  CAPTURE(e.finish_reason, e.message_rest, e.rest);
  CHECK(!kept(e));
}

TEST_CASE("of several choices all must have ended by themselves", "[actors][flight]") {
  msg::chat_reply reply;
  CHECK(!may_store(reply, ""));
  reply.choices.resize(2);
  for (auto& choice : reply.choices) {
    choice.content = "A.";
    choice.finish_reason = "stop";
  }
  CHECK(may_store(reply, ""));
  reply.choices[1].finish_reason = "length";
  CHECK(!may_store(reply, ""));
}
