// Tool calls between the APIs: what is read, what is written, and which call a piece is of.
#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/chat/tool_calls.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "apis/openai/responses_format.hpp"
#include "apis/openai/responses_json.hpp"
#include "messages/size.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/openai_members.hpp"

#include <nlohmann/json.hpp>

#include <map>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

using calls = std::vector<msg::tool_call>;

std::string written(const calls& given) {
  std::string out;
  append_tool_calls(out, given);
  return out;
}

/// The pieces of a stream whose deltas have these lists of tool calls.
std::vector<msg::chat_chunk> pieces_of(const std::vector<std::string>& lists) {
  chunk_reader reader;
  std::vector<msg::chat_chunk> pieces;
  for (const auto& list : lists) {
    const auto event = reader.read(R"({"choices":[{"delta":{"tool_calls":)" + list + "}}]}");
    pieces.push_back(event.value().chunks.at(0));
  }
  return pieces;
}

/// The data of all events that a format writes for the pieces.
std::vector<json> streamed(answer_format& format, const std::vector<msg::chat_chunk>& pieces) {
  auto frames = format.open({"chatcmpl-1", 1, "m", {}, {}});
  for (const auto& piece : pieces)
    frames += format.chunk(piece);
  frames += format.end({});
  std::vector<json> events;
  for (std::size_t at = frames.find("data: {"); at != std::string::npos;
       at = frames.find("data: {", at + 1))
    events.push_back(json::parse(frames.substr(at + 6, frames.find("\n\n", at) - at - 6)));
  return events;
}

/// Call by call "index id name arguments", as a client puts the chunks together.
std::string at_chat_door(const std::vector<msg::chat_chunk>& pieces) {
  std::map<std::uint64_t, std::string> all;
  for (const auto& event : streamed(*chat_format(false), pieces)) {
    const auto list = event["choices"][0]["delta"].value("tool_calls", json::array());
    for (const auto& call : list) {
      auto& into = all[call.at("index").get<std::uint64_t>()];
      if (into.empty())
        into
          = call["id"].get<std::string>() + " " + call["function"]["name"].get<std::string>() + " ";
      into += call["function"]["arguments"].get<std::string>();
    }
  }
  std::string text;
  for (const auto& [index, call] : all)
    text += std::to_string(index) + " " + call + "\n";
  return text;
}

std::string at_responses_door(const std::vector<msg::chat_chunk>& pieces) {
  const auto format = responses_format({"resp_1", 1, "m", "{}"});
  std::string text;
  const auto events = streamed(*format, pieces);
  for (const auto& item : events.back()["response"]["output"])
    text += item["call_id"].get<std::string>() + " " + item["name"].get<std::string>() + " "
            + item["arguments"].get<std::string>() + "\n";
  return text;
}

std::string at_messages_door(const std::vector<msg::chat_chunk>& pieces) {
  const auto format = messages_format({});
  std::map<std::uint64_t, std::string> blocks;
  for (const auto& event : streamed(*format, pieces)) {
    if (event["type"] == "content_block_start")
      blocks[event["index"].get<std::uint64_t>()]
        = event["content_block"]["id"].get<std::string>() + " "
          + event["content_block"]["name"].get<std::string>() + " ";
    if (event["type"] == "content_block_delta")
      blocks[event["index"].get<std::uint64_t>()]
        += event["delta"]["partial_json"].get<std::string>();
  }
  std::string text;
  for (const auto& [index, block] : blocks)
    text += block + "\n";
  return text;
}

msg::chat_reply reply_with(const std::string& list) {
  return read_chat_reply(R"({"id":"chatcmpl-1","choices":[{"message":{"tool_calls":)" + list
                         + "}}]}")
    .value();
}

msg::chat_request request_with(const std::string& list) {
  return read_chat_body(R"({"model":"m","messages":[{"role":"user","content":"hi"},)"
                        R"({"role":"assistant","content":null,"tool_calls":)"
                        + list + "}]}")
    .value()
    .request;
}

} // namespace

TEST_CASE("a call is written as it was read", "[actors][tools]") {
  const auto list = GENERATE(
    as<std::string>{},
    R"([{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}}])",
    R"([{"id":"a","type":"function","function":{"name":"f","arguments":""},"extra":{ "k":1e0}}])",
    R"([{"id":"a","type":"function","function":{"name":"f","arguments":"{}","strict":true}}])",
    R"([{"id":"a","type":"custom","custom":{"name":"f","input":"free text","format":{}}}])",
    R"([{"id":"a"},{"id":"b"}])", R"([{"function":{"arguments":"{"}}])",
    R"([{"id":null,"type":7,"function":null}])", R"([{"function":{"name":null,"arguments":""}}])",
    R"([{"id":"","function":"f"}])", R"([{"function":{}}])", R"([{}])", R"([{"id":"a","index":3}])",
    R"([{"type":"mcp","mcp":{"server":"s"}}])");
  CHECK(written(read_tool_calls(list)) == list);
}

TEST_CASE("what a call has a field for is there", "[actors][tools]") {
  const auto read = read_tool_calls(
    R"([{"type":"function","x":[ 1],"id":"a","function":{"y":2,"arguments":"{}","name":"f"}},)"
    R"({"id":"b","type":"custom","custom":{"name":"g","input":"free"}}])");
  CHECK(read
        == calls{{0, "a", "function", "f", "{}", R"({"x":[ 1],"function":{"y":2}})"},
                 {1, "b", "custom", "g", "free", ""}});
}

TEST_CASE("a list that is none of calls stays what it is", "[actors][tools]") {
  const auto list
    = GENERATE(as<std::string>{}, "[]", "null", "7", R"("x")", R"([7])", R"([{"id":"a"},null])");
  CHECK(read_tool_calls(list).empty());
  const auto request = request_with(list);
  CHECK(request.messages[1].tool_calls.empty());
  CHECK(write_chat_request(request).find(R"("tool_calls":)" + list) != std::string::npos);
  const auto reply = reply_with(list);
  CHECK(write_chat_reply(reply).find(R"("tool_calls":)" + list) != std::string::npos);
  const auto piece = pieces_of({list}).at(0);
  chunk_writer writer{{}, false};
  CHECK(writer.frame(piece).find(R"("tool_calls":)" + list) != std::string::npos);
}

TEST_CASE("a list of more calls than any model makes is not taken apart", "[actors][tools]") {
  constexpr std::size_t calls_max = 4096;
  std::string list = "[{}";
  for (std::size_t n = 1; n < calls_max; ++n)
    list += ",{}";
  CHECK(read_tool_calls(list + "]").size() == calls_max);
  CHECK(read_tool_calls(list + ",{}]").empty());
  const auto request = request_with(list + ",{}]");
  CHECK(write_chat_request(request).find(list + ",{}]") != std::string::npos);
  CHECK_FALSE(write_messages_request(request, {}));
}

TEST_CASE("calls stand once where a list came that is none, too", "[actors][tools]") {
  msg::chat_reply reply;
  auto& choice = reply.choices.emplace_back();
  choice.message_rest = R"({"tool_calls":[],"a":1})";
  choice.tool_calls = {function_call(0, "c", "f", "{}")};
  const auto once = [](const std::string& text) {
    const auto at = text.find("\"tool_calls\"");
    return at != std::string::npos && text.find("\"tool_calls\"", at + 1) == std::string::npos
           && text.find(R"("a":1)") != std::string::npos;
  };
  CHECK(once(write_chat_reply(reply)));
  msg::chat_request request;
  request.messages = {{"assistant", "", choice.message_rest, choice.tool_calls}};
  CHECK(once(write_chat_request(request)));
  chunk_writer writer{{}, false};
  CHECK(once(writer.frame({0, "", choice.message_rest, "", "", choice.tool_calls})));
}

TEST_CASE("a conversation goes on to a provider with its calls as they are", "[actors][tools]") {
  const std::string list
    = R"([{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"},)"
      R"("extra_content":{"google":{"thought_signature":"A\/\u003d"}}},)"
      R"({"id":"b","type":"custom","custom":{"name":"g","input":"print 1"}}])";
  CHECK(write_chat_request(request_with(list)).find(R"("tool_calls":)" + list)
        != std::string::npos);
}

TEST_CASE("streamed calls without an index are numbered, at every door", "[actors][tools]") {
  const auto index = GENERATE(as<std::string>{}, "", R"("index":null,)");
  const auto call = [&](const std::string& members) { return "[{" + index + members + "}]"; };
  const auto lists = GENERATE_COPY(values<std::vector<std::string>>({
    // One call per chunk.
    {call(R"("id":"a","function":{"name":"f","arguments":"{\"x\":1}"})"),
     call(R"("id":"b","function":{"name":"g","arguments":"{\"y\":2}"})")},
    // Arguments in pieces; one server repeats the id, the other does not.
    {call(R"("id":"a","function":{"name":"f","arguments":"{"})"),
     call(R"("id":"a","function":{"name":"f","arguments":"\"x\":1}"})"),
     call(R"("id":"b","function":{"name":"g","arguments":"{\"y\""})"),
     call(R"("function":{"arguments":":2}"})")},
    // Both in one chunk.
    {R"([{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}},)"
     R"({"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}])"},
  }));
  const auto pieces = pieces_of(lists);
  const std::string expected = "a f {\"x\":1}\nb g {\"y\":2}\n";
  CHECK(at_messages_door(pieces) == expected);
  CHECK(at_responses_door(pieces) == expected);
  CHECK(at_chat_door(pieces) == "0 a f {\"x\":1}\n1 b g {\"y\":2}\n");
  for (const auto& piece : pieces)
    for (const auto& each : piece.tool_calls)
      CHECK(each.extra.find("index") == std::string::npos);
}

TEST_CASE("calls that are all numbered 0 are told apart by their ids", "[actors][tools]") {
  const auto pieces
    = pieces_of({R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])",
                 R"([{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}])",
                 R"([{"index":0,"function":{"arguments":"}"}}])"});
  CHECK(at_messages_door(pieces) == "a f {}\nb g {}\n");
  // An id that changes with every piece is none.
  CHECK(at_chat_door(pieces_of({R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}])",
                                R"([{"index":0,"id":"b","function":{"arguments":"}"}}])"}))
        == "0 a f {}\n");
}

TEST_CASE("of calls without index and id a name begins the next in one list", "[actors][tools]") {
  const auto pieces = pieces_of({R"([{"function":{"name":"f","arguments":"{}"}},)"
                                 R"({"function":{"name":"g","arguments":"{}"}}])",
                                 R"([{"function":{"arguments":" "}}])"});
  CHECK(pieces[0].tool_calls.at(1).index == 1);
  CHECK(pieces[1].tool_calls.at(0).index == 1);
}

TEST_CASE("of calls without index and id another name begins the next", "[actors][tools]") {
  const auto pieces = pieces_of({R"([{"function":{"name":"f","arguments":"{"}}])",
                                 R"([{"function":{"name":"f","arguments":"}"}}])",
                                 R"([{"function":{"name":"g","arguments":"{}"}}])"});
  CHECK(pieces[1].tool_calls.at(0).index == 0);
  CHECK(pieces[2].tool_calls.at(0).index == 1);
}

TEST_CASE("choices of one stream number their calls apart", "[actors][tools]") {
  chunk_reader reader;
  const auto event = reader.read(R"({"choices":[{"index":0,"delta":{"tool_calls":[{"id":"a"}]}},)"
                                 R"({"index":1,"delta":{"tool_calls":[{"id":"b"}]}}]})");
  REQUIRE(event);
  CHECK(event->chunks.at(0).tool_calls.at(0).index == 0);
  CHECK(event->chunks.at(1).tool_calls.at(0).index == 0);
}

TEST_CASE("an index of any size is one", "[actors][tools]") {
  const auto pieces = pieces_of({R"([{"index":4294967295,"id":"a"}])", R"([{"id":"b"}])",
                                 R"([{"index":-1,"id":"c"}])", R"([{"index":1e15,"id":"d"}])"});
  CHECK(pieces[0].tool_calls.at(0).index == 4'294'967'294);
  CHECK(pieces[1].tool_calls.at(0).index == 4'294'967'295);
  CHECK(pieces.size() == 4);
}

TEST_CASE("arguments that are an object are its text everywhere", "[actors][tools]") {
  const std::string list = R"([{"id":"c1","type":"function",)"
                           R"("function":{"name":"f","arguments":{"x": 1}}}])";
  const std::string text = R"("arguments":"{\"x\":1}")";
  const auto reply = reply_with(list);
  CHECK(write_chat_reply(reply).find(text) != std::string::npos);
  CHECK(json::parse(messages_format({})->whole(reply))["content"][0]["input"] == json{{"x", 1}});
  CHECK(
    json::parse(responses_format({"resp_1", 1, "m", "{}"})->whole(reply))["output"][0]["arguments"]
    == R"({"x":1})");
  const auto pieces = pieces_of({list});
  CHECK(at_chat_door(pieces) == "0 c1 f {\"x\":1}\n");
  CHECK(at_messages_door(pieces) == "c1 f {\"x\":1}\n");
  CHECK(at_responses_door(pieces) == "c1 f {\"x\":1}\n");
  // In a history its bytes stay.
  const auto request = request_with(list);
  CHECK(request.messages[1].tool_calls[0].arguments == R"({"x": 1})");
  CHECK(write_chat_request(request).find(R"("arguments":"{\"x\": 1}")") != std::string::npos);
  CHECK(write_messages_request(request, {})->find(R"("input":{"x": 1})") != std::string::npos);
  const auto items = conversation_of(
    {R"({"type":"function_call","call_id":"c1","name":"f","arguments":{"x": 1}})"}, "", 0);
  CHECK(items.value().at(0).tool_calls.at(0).arguments == R"({"x": 1})");
}

TEST_CASE("two calls with one id get different ones where ids must differ", "[actors][tools]") {
  const std::string list = R"([{"id":"c1","function":{"name":"f","arguments":"{}"}},)"
                           R"({"id":"c1","function":{"name":"g","arguments":"{}"}},)"
                           R"({"id":"","function":{"name":"h","arguments":"{}"}}])";
  const auto content = json::parse(messages_format({})->whole(reply_with(list)))["content"];
  CHECK(content[0]["id"] == "c1");
  CHECK(content[1]["id"] == "toolu_chatcmpl-1_1");
  CHECK(content[2]["id"] == "toolu_chatcmpl-1_2");
  const auto output
    = json::parse(responses_format({"resp_1", 1, "m", "{}"})->whole(reply_with(list)))["output"];
  CHECK(output[0]["call_id"] == "c1");
  CHECK(output[1]["call_id"] == "call_11");
  const auto pieces
    = pieces_of({R"([{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}])",
                 R"([{"index":1,"id":"c1","function":{"name":"g","arguments":"{}"}}])"});
  CHECK(at_messages_door(pieces) == "c1 f {}\ntoolu_chatcmpl-1_1 g {}\n");
  CHECK(at_responses_door(pieces) == "c1 f {}\ncall_11 g {}\n");
}

TEST_CASE("an id that was made up is no other call's", "[actors][tools]") {
  call_ids ids;
  CHECK(ids.unique("x_1", "x_", 0) == "x_1");
  CHECK(ids.unique("", "x_", 1) == "x_2");
  CHECK(ids.unique("x_2", "x_", 2) == "x_3");
}

TEST_CASE("a chunk costs what docs/wire-protocol.md says", "[actors][tools]") {
  msg::chat_chunk piece;
  piece.content = "ab";
  CHECK(bytes_of(piece) == 4 + 4 * 32 + 2);
  piece.tool_calls = {{0, "c", "", "f", "{}", ""}};
  CHECK(bytes_of(piece) == 4 + 4 * 32 + 2 + 24 + 4 + 5 * 32 + 4);
}
