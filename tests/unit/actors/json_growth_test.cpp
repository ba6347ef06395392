// No input makes one actor work longer than its size accounts for: many small things cost about
// what one large thing of as many bytes costs, and twice as many cost twice as much.
#include "apis/openai/chunk_writer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/growing_text.hpp"
#include "tests/support/json_ways.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;
using skep::testing::growing_text;
using skep::testing::json_way;
using skep::testing::least_seconds;

namespace {

constexpr std::size_t bytes_once = std::size_t{96} << 10;
constexpr int runs = 3;
// A way that is linear doubles; one that is quadratic takes four times as long.
constexpr double growth_max = 3.0;
// What one byte of small things may cost, in bytes of one large text. Answers are written in the
// forms of five APIs, and a tool call of 30 bytes has ten times as many in some of them.
constexpr double small_things_max = 60;
// Below this a measurement says nothing.
constexpr double floor_seconds = 2e-3;

struct shape {
  const char* name;
  json_way way;
  growing_text text;
};

std::function<std::string(std::size_t)> each(std::string piece) {
  return [piece = std::move(piece)](std::size_t) { return piece; };
}

std::string numbered(std::string_view before, std::size_t n, std::string_view after) {
  return std::string{before} + std::to_string(n) + std::string{after};
}

const std::string nested = std::string(24, '[') + std::string(24, ']');

std::vector<shape> shapes_of_lists(const char* where, json_way way, const std::string& before,
                                   const std::string& after) {
  std::vector<shape> made;
  for (const auto* piece : {"{}", R"({"a":1})", R"({"type":"text","text":"x"})", "1", R"("")", "[]",
                            R"({"b":0,"a":{}})"})
    made.push_back({where, way, {before, each(piece), after}});
  made.push_back({where, way, {before, each(nested), after}});
  return made;
}

/// Members of an object: each of its own name, all of one name, names that begin alike.
std::vector<shape> shapes_of_members(const char* where, json_way way, const std::string& before,
                                     const std::string& after) {
  const auto own = [](std::size_t n) { return numbered("\"k", n, "\":1"); };
  const auto alike = [](std::size_t n) {
    return numbered("\"" + std::string(60, 'k'), n * 7919 % 100'003, "\":\"\"");
  };
  return {{where, way, {before, own, after}},
          {where, way, {before, each(R"("k":{})"), after}},
          {where, way, {before, alike, after}}};
}

void append(std::vector<shape>& to, std::vector<shape> more) {
  for (auto& one : more)
    to.push_back(std::move(one));
}

std::vector<shape> shapes_of_requests() {
  using namespace skep::testing;
  const std::string chat = R"({"model":"m","messages":[{"role":"user","content":)";
  const std::string claude = R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":)";
  const std::string response = R"({"model":"m","input":)";
  std::vector<shape> all;
  append(all, shapes_of_lists("chat parts", through_chat_body, chat + "[", "]}]}"));
  append(all, shapes_of_lists("chat parameter", through_chat_body, chat + R"("x"}],"p":[)", "]}"));
  append(all, shapes_of_members("chat members", through_chat_body, chat + R"("x"}],)", "}"));
  append(all,
         shapes_of_members("chat schema", through_chat_body, chat + R"("x"}],"tools":[{)", "}]}"));
  append(all, shapes_of_lists("messages blocks", through_messages_body, claude + "[", "]}]}"));
  append(all,
         shapes_of_members("messages members", through_messages_body, claude + R"("x"}],)", "}"));
  append(all,
         shapes_of_lists("prompts", through_completions_body, R"({"model":"m","prompt":[)", "]}"));
  append(all, shapes_of_members("completion", through_completions_body,
                                R"({"model":"m","prompt":"x",)", "}"));
  append(all,
         shapes_of_lists("prompt member", through_prompt_body, R"({"message":"x","p":[)", "]}"));
  append(all, shapes_of_lists("response items", through_response_body, response + "[", "]}"));
  append(all,
         shapes_of_members("response members", through_response_body, response + R"("x",)", "}"));
  append(all,
         shapes_of_lists("embeddings", through_embeddings_body, R"({"model":"m","input":[)", "]}"));
  const auto add = [&](const char* name, json_way way, growing_text text) {
    all.push_back({name, way, std::move(text)});
  };
  add("chat messages", through_chat_body,
      {R"({"model":"m","messages":[)", each(R"({"role":"user","content":"x"})"), "]}"});
  add("chat tools", through_chat_body,
      {chat + R"("x"}],"tools":[)", each(R"({"type":"function","function":{"name":"f"}})"), "]}"});
  add("chat calls", through_chat_body,
      {R"({"model":"m","messages":[{"role":"assistant","tool_calls":[)",
       each(R"({"id":"c","type":"function","function":{"name":"f","arguments":"{}"}})"), "]}]}"});
  add("messages results", through_messages_body,
      {claude + "[", each(R"({"type":"tool_result","tool_use_id":"t"})"), "]}]}"});
  add("messages turns", through_messages_body,
      {R"({"model":"m","max_tokens":9,"messages":[)", each(R"({"role":"user","content":"x"})"),
       "]}"});
  add("response calls", through_response_body,
      {response + "[", each(R"({"type":"function_call","call_id":"c","name":"f"})"), "]}"});
  add("response thoughts", through_response_body,
      {response + "[", each(R"({"type":"reasoning"})"), "]}"});
  return all;
}

/// Events of a stream, each of one line or of many.
shape events(const char* name, json_way way, std::function<std::string(std::size_t)> data,
             std::string before = {}) {
  return {name, way, {std::move(before), std::move(data), "\n\n", "\n\n"}};
}

std::vector<shape> shapes_of_answers() {
  using namespace skep::testing;
  const std::string choice = R"({"choices":[{"index":0,"message":{"role":"assistant",)";
  const std::string message = R"({"type":"message","content":[)";
  std::vector<shape> all;
  append(all, shapes_of_lists("answer member", through_chat_reply,
                              choice + R"("content":"x"}}],"p":[)", "]}"));
  append(all, shapes_of_lists("choices", through_chat_reply, R"({"choices":[)", "]}"));
  append(all, shapes_of_members("message members", through_chat_reply, choice, "}}]}"));
  append(all, shapes_of_lists("blocks", through_messages_reply, message, "]}"));
  append(all, shapes_of_lists("vectors", through_embeddings_reply, R"({"data":[)", "]}"));
  append(all, shapes_of_lists("models", through_models_and_errors, R"({"data":[)", "]}"));
  append(all, shapes_of_lists("output", through_response, R"({"id":"r","output":[)", "]}"));
  append(all, shapes_of_members("response's members", through_response, R"({"id":"r","output":[],)",
                                "}"));
  append(all, shapes_of_lists("one event", through_chat_stream,
                              R"(data: {"choices":[{"delta":{"p":[)", "]}}]}\n\n"));
  const auto add = [&](shape one) { all.push_back(std::move(one)); };
  add({"calls",
       through_chat_reply,
       {choice + R"("tool_calls":[)", each(R"({"function":{"name":"f","arguments":"{}"}})"),
        "]}}]}"}});
  add({"thinking",
       through_messages_reply,
       {message, each(R"({"type":"thinking","thinking":"x","signature":"s"})"), "]}"}});
  add({"tool uses",
       through_messages_reply,
       {message, each(R"({"type":"tool_use","name":"f"})"), "]}"}});
  add(
    {"output items",
     through_response,
     {R"({"id":"r","output":[)",
      each(R"({"id":"i","type":"message","content":[{"type":"output_text","text":"x"}]})"), "]}"}});
  add(events("response's deltas", through_response_stream,
             each(R"(data: {"type":"response.output_text.delta","delta":"x"})")));
  add(events("response's calls", through_response_stream, [](std::size_t n) {
    return numbered(R"(data: {"type":"response.output_item.done","output_index":)", n,
                    R"(,"item":{"type":"function_call","call_id":"c","name":"f"}})");
  }));
  add(events("deltas", through_chat_stream,
             each(R"(data: {"choices":[{"delta":{"content":"x"}}]})")));
  add(events("deltas of choices", through_chat_stream, [](std::size_t n) {
    return numbered(R"(data: {"choices":[{"index":)", n % 2000, R"(,"delta":{"content":"x"}}]})");
  }));
  add(events("deltas of calls", through_chat_stream, [](std::size_t n) {
    return numbered(R"(data: {"choices":[{"delta":{"tool_calls":[{"index":)", n,
                    R"(,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]})");
  }));
  add(events("deltas after a long beginning", through_chat_stream,
             each(R"(data: {"choices":[{"delta":{"content":"x"}}]})"),
             R"(data: {"id":"a","p":")" + std::string(20'000, 'x') + "\"}\n\n"));
  add({"lines of one event",
       through_chat_stream,
       {"data: [\n", each("data: 1,"), "\ndata: 1]\n\n", "\n"}});
  add({"empty lines", through_chat_stream, {"", each("\r"), "\n", ""}});
  add({"comments", through_chat_stream, {"", each(":"), "\n", "\n"}});
  add(events("blocks of a stream", through_messages_stream, [](std::size_t n) {
    return numbered(R"(data: {"type":"content_block_start","index":)", n,
                    R"(,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}})")
           + numbered("\n\ndata: {\"type\":\"content_block_stop\",\"index\":", n, "}");
  }));
  add(events("thoughts of a stream", through_messages_stream,
             each(R"(data: {"type":"content_block_start","index":0,"content_block":)"
                  R"({"type":"thinking","thinking":"x","signature":""}})"
                  "\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}")));
  return all;
}

/// What the same way costs for one large text instead of many small things.
double plain_seconds() {
  const growing_text plain{R"({"model":"m","messages":[{"role":"user","content":")",
                           each("all of it is said in plain words, "), R"("}]})", ""};
  const auto text = plain.of(bytes_once);
  return least_seconds(runs, [&] { skep::testing::through_chat_body(text); });
}

// Under a sanitizer time says nothing of the node: there the ways are only walked.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool times_count = false;
#else
constexpr bool times_count = true;
#endif

struct measurement {
  double once = 0;
  double twice = 0;

  bool fits(double plain) const {
    return (twice < floor_seconds || twice < growth_max * std::max(once, 1e-4))
           && once < std::max(small_things_max * plain, floor_seconds);
  }
};

/// Another process may disturb a measurement; a way that is not linear fails all of them.
measurement measure(const shape& each, double plain) {
  constexpr int attempts_max = 4;
  const auto once = each.text.of(bytes_once);
  const auto twice = each.text.of(2 * bytes_once);
  measurement made;
  for (int n = 0; n < attempts_max; ++n) {
    made = {least_seconds(runs, [&] { each.way(once); }),
            least_seconds(runs, [&] { each.way(twice); })};
    if (made.fits(plain))
      break;
  }
  return made;
}

void check_growth(const std::vector<shape>& shapes) {
  const auto plain = std::max(plain_seconds(), 1e-4);
  for (const auto& each : shapes) {
    if (!times_count) {
      each.way(each.text.of(bytes_once));
      continue;
    }
    const auto took = measure(each, plain);
    INFO(each.name << ": " << each.text.of(120) << ": " << took.once * 1e3 << " ms, twice as long "
                   << took.twice * 1e3 << " ms, plain text " << plain * 1e3 << " ms");
    CHECK(took.fits(plain));
  }
}

} // namespace

TEST_CASE("many small things in a request cost what their bytes cost", "[actors][json][growth]") {
  check_growth(shapes_of_requests());
}

TEST_CASE("many small things in an answer cost what their bytes cost", "[actors][json][growth]") {
  check_growth(shapes_of_answers());
}

TEST_CASE("every door says which bound of its JSON was passed", "[actors][json]") {
  const auto body = R"({"p":)" + std::string(100, '[') + std::string(100, ']') + "}";
  const std::string said = "the body is no JSON we can read: it is nested deeper than 64 levels";
  CHECK(read_chat_body(body).error().why.detail == said);
  CHECK(read_embeddings_body(body).error().why.detail == said);
  CHECK(read_messages_body(body).error().why.detail == said);
  CHECK(read_completions_body(body).error().why.detail == said);
  CHECK(read_response_body(body).error().why.detail == said);
  CHECK(read_prompt_body(body).error().why.detail == said);
}

TEST_CASE("an answer has a bounded number of choices and names of bounded length",
          "[actors][json]") {
  const auto reply_of = [](std::size_t index) {
    return read_chat_reply(numbered(R"({"choices":[{"index":)", index, "}]}"));
  };
  CHECK(reply_of(choices_max - 1));
  CHECK_FALSE(reply_of(choices_max));
  const auto piece_of = [](std::size_t index) {
    return chunk_reader{}.read(numbered(R"({"choices":[{"index":)", index, R"(,"delta":{}}]})"));
  };
  CHECK(piece_of(choices_max - 1));
  CHECK_FALSE(piece_of(choices_max));
  CHECK_FALSE(
    chunk_reader{}.read(R"({"id":")" + std::string(answer_name_bytes_max + 1, 'i') + "\"}"));
  CHECK_FALSE(read_chat_reply(R"({"model":")" + std::string(answer_name_bytes_max + 1, 'm')
                              + R"(","choices":[]})"));
}

TEST_CASE("a long beginning of a stream is not repeated with every piece", "[actors][json]") {
  const auto frames_of = [](std::size_t bytes) {
    chunk_writer writer{{"id", 1, "m", R"({"p":")" + std::string(bytes, 'x') + "\"}", {}}, false};
    const msg::chat_chunk piece{0, "x", {}, {}, {}};
    return std::pair{writer.frame(piece), writer.frame(piece)};
  };
  const auto [first, second] = frames_of(100'000);
  CHECK(first.find("xxx") != std::string::npos);
  CHECK(second.size() < 1000);
  const auto [short_first, short_second] = frames_of(10);
  CHECK(short_second.find("xxx") != std::string::npos);
}
