#include "apis/anthropic/client_request.hpp"
#include "apis/openai/chat_json.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

/// What goes to Anthropic for the body of a chat completion; `more` are its other members.
expected<std::string> written(const std::string& messages, const std::string& more = {},
                              const anthropic_options& options = {}) {
  const auto body = read_chat_body(R"({"model":"claude","messages":)" + messages
                                   + (more.empty() ? "" : "," + more) + "}");
  REQUIRE(body);
  return write_messages_request(body->request, options);
}

json body_of(const std::string& messages, const std::string& more = {},
             const anthropic_options& options = {}) {
  const auto text = written(messages, more, options);
  INFO((text ? *text : text.error().detail));
  REQUIRE(text);
  return json::parse(*text);
}

const std::string hello = R"([{"role":"user","content":"hi"}])";

/// The body's member of this name for these parameters; null when it is not there.
json member(const char* name, const std::string& more, const anthropic_options& options = {}) {
  const auto body = body_of(hello, more, options);
  return body.contains(name) ? body[name] : json{};
}

std::string complaint(const std::string& messages, const std::string& more = {}) {
  const auto text = written(messages, more);
  REQUIRE_FALSE(text);
  CHECK(text.error().code == errc::bad_request);
  return text.error().detail;
}

const std::string tools = R"("tools":[{"type":"function","function":{"name":"f","description":"d",)"
                          R"("parameters":{"type":"object","properties":{"b":{},"a":{}}}}}])";

} // namespace

TEST_CASE("a conversation becomes turns with its instructions beside them",
          "[provider][anthropic]") {
  const auto body = body_of(R"([{"role":"system","content":"be kind"},
                                {"role":"user","content":"a"},{"role":"user","content":"b"},
                                {"role":"assistant","content":"c","name":"x"},
                                {"role":"developer","content":"be brief"},
                                {"role":"user","content":"d"}])");
  CHECK(body["model"] == "claude");
  CHECK(body["max_tokens"] == 4096);
  CHECK(!body.contains("stream"));
  CHECK(body["system"]
        == json::parse(R"([{"type":"text","text":"be kind"},{"type":"text","text":"be brief"}])"));
  CHECK(body["messages"] == json::parse(R"([
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":[{"type":"text","text":"c"}]},
    {"role":"user","content":[{"type":"text","text":"d"}]}])"));
  CHECK(body_of(R"([{"role":"system","content":"one"},{"role":"user","content":"a"}])")["system"]
        == "one");
  CHECK(body_of(hello, R"("stream":true,"stream_options":{"include_usage":true})")["stream"]
        == true);
}

TEST_CASE("tool calls and their results become blocks in their order", "[provider][anthropic]") {
  const auto body = body_of(R"([
    {"role":"user","content":"weather?"},
    {"role":"assistant","content":null,"tool_calls":[
      {"id":"t1","type":"function","function":{"name":"f","arguments":"{\"b\":1, \"a\":2}"}},
      {"id":"t2","type":"function","function":{"name":"g","arguments":""}}]},
    {"role":"tool","tool_call_id":"t1","content":"sun"},
    {"role":"tool","tool_call_id":"t2","content":[{"type":"text","text":"rain"}],"is_error":true,
     "cache_control":{"type":"ephemeral"}},
    {"role":"user","content":"so?"}])");
  CHECK(body["messages"][1]["content"] == json::parse(R"([
    {"type":"tool_use","id":"t1","name":"f","input":{"b":1,"a":2}},
    {"type":"tool_use","id":"t2","name":"g","input":{}}])"));
  CHECK(body["messages"][2] == json::parse(R"({"role":"user","content":[
    {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"sun"}]},
    {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"rain"}],
     "is_error":true,"cache_control":{"type":"ephemeral"}},
    {"type":"text","text":"so?"}]})"));
}

TEST_CASE("calls have ids that Anthropic's API takes, and no two the same",
          "[provider][anthropic]") {
  // The ids of calls, turn by turn, and those that their results name.
  const auto ids = [](const std::vector<std::vector<std::string>>& turns) {
    auto messages = json::array({{{"role", "user"}, {"content", "go"}}});
    for (const auto& turn : turns) {
      auto calls = json::array();
      for (const auto& id : turn)
        calls.push_back({{"id", id}, {"function", {{"name", "f"}, {"arguments", "{}"}}}});
      messages.push_back({{"role", "assistant"}, {"tool_calls", calls}});
      for (const auto& id : turn)
        messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", "x"}});
    }
    std::vector<std::string> called;
    std::vector<std::string> answered;
    const auto body = body_of(messages.dump());
    for (const auto& turn : body["messages"])
      for (const auto& block : turn["content"])
        if (block["type"] == "tool_use")
          called.push_back(block["id"]);
        else if (block["type"] == "tool_result")
          answered.push_back(block["tool_use_id"]);
    CHECK(called == answered);
    return called;
  };
  using list = std::vector<std::string>;
  CHECK(ids({{"toolu_1", "call-A"}}) == list{"toolu_1", "call-A"});
  CHECK(ids({{"functions.f:0", "a b", "call|1", ""}})
        == list{"functions_f_0", "a_b", "call_1", "call"});
  CHECK(ids({{"a.b", "a:b", "a_b"}}) == list{"a_b", "a_b_2", "a_b_3"});
  CHECK(ids({{"c", "c"}}) == list{"c", "c_2"});
  // The first turn's keep theirs when the conversation goes on.
  CHECK(ids({{"f.0", "f.1"}, {"f.0"}, {"f_0"}}) == list{"f_0", "f_1", "f_0_2", "f_0_3"});
  // A call that nobody answered takes no result of a later one.
  const auto open = body_of(R"([{"role":"user","content":"go"},
    {"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},
    {"role":"user","content":"again"},
    {"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},
    {"role":"tool","tool_call_id":"c","content":"x"}])");
  CHECK(open["messages"].back()["content"][0]["tool_use_id"] == "c_2");
}

TEST_CASE("what a model reads keeps its bytes and order", "[provider][anthropic]") {
  const auto text
    = written(R"([{"role":"user","content":"hi"},{"role":"assistant","content":"","tool_calls":[)"
              R"({"id":"t","type":"function","function":{"name":"f",)"
              R"("arguments":"{\"z\":1.50, \"a\":[]}"}}]},)"
              R"({"role":"tool","tool_call_id":"t","content":"ok"}])",
              tools);
  REQUIRE(text);
  CHECK(text->find(R"({"z":1.50, "a":[]})") != std::string::npos);
  CHECK(text->find(R"("properties":{"b":{},"a":{}})") != std::string::npos);
}

TEST_CASE("images and documents become sources", "[provider][anthropic]") {
  const auto block = [](const std::string& part) {
    return body_of(R"([{"role":"user","content":[)" + part + "]}]")["messages"][0]["content"][0];
  };
  CHECK(block(R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}})")
        == json::parse(
          R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}})"));
  CHECK(block(R"({"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"},
                  "cache_control":{"type":"ephemeral"}})")
        == json::parse(R"({"type":"image","source":{"type":"url","url":"https://x/y.png"},
                           "cache_control":{"type":"ephemeral"}})"));
  CHECK(block(R"({"type":"image_url","image_url":"http://x/y.png"})")["source"]["type"] == "url");
  CHECK(block(R"({"type":"file","file":{"file_data":"data:application/pdf;base64,QQ==",
                  "filename":"a.pdf"}})")
        == json::parse(R"({"type":"document","title":"a.pdf","source":{"type":"base64",
                           "media_type":"application/pdf","data":"QQ=="}})"));
  // Of texts the API takes no base64.
  CHECK(
    block(R"({"type":"file","file":{"file_data":"data:text/csv;base64,YSxi","filename":"a.csv"}})")
    == json::parse(R"({"type":"document","title":"a.csv","source":{"type":"text",
                           "media_type":"text/plain","data":"a,b"}})"));
  CHECK(block(R"({"type":"file","file":{"file_id":"file_1"}})")["source"]["file_id"] == "file_1");
  const auto* own = R"({"type":"search_result","source":"s","title":"t","content":[]})";
  CHECK(block(own) == json::parse(own));
  for (const auto* wrong :
       {R"({"type":"image_url","image_url":{"url":"data:image/png,AAAA"}})",
        R"({"type":"image_url","image_url":{"url":"ftp://x"}})", R"({"type":"image_url"})",
        R"({"type":"input_audio","input_audio":{"data":"","format":"wav"}})", R"({"text":"a"})",
        "7"})
    CHECK(complaint(R"([{"role":"user","content":[)" + std::string{wrong} + "]}]")
            .starts_with("messages[0].content[0]"));
}

TEST_CASE("cache_control goes along, of parts, messages and tools", "[provider][anthropic]") {
  const auto body = body_of(
    R"([{"role":"system","content":"long","cache_control":{"type":"ephemeral"}},
        {"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral",
         "ttl":"1h"}},{"type":"text","text":"b"}]}])",
    R"("tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}},
                {"type":"web_search_20250305","name":"web_search","max_uses":2}])");
  CHECK(body["system"] == json::parse(R"([{"type":"text","text":"long",
                                           "cache_control":{"type":"ephemeral"}}])"));
  CHECK(body["messages"][0]["content"][0]["cache_control"]["ttl"] == "1h");
  CHECK(!body["messages"][0]["content"][1].contains("cache_control"));
  CHECK(body["tools"] == json::parse(R"([
    {"name":"f","input_schema":{"type":"object","properties":{}},
     "cache_control":{"type":"ephemeral"}},
    {"type":"web_search_20250305","name":"web_search","max_uses":2}])"));
}

TEST_CASE("signed thinking goes back before what was said; unsigned thinking stays here",
          "[provider][anthropic]") {
  const auto body = body_of(R"([{"role":"user","content":"a"},
    {"role":"assistant","content":"b","reasoning_content":"hm","thinking_blocks":[
      {"type":"thinking","thinking":"hm","signature":"s","index":0},
      {"type":"thinking","thinking":"not signed","signature":""},
      {"type":"redacted_thinking","data":"x"}],
     "content_blocks":[{"type":"server_tool_use","id":"1","name":"w","input":{}}]},
    {"role":"user","content":"c"}])");
  CHECK(body["messages"][1]["content"] == json::parse(R"([
    {"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"redacted_thinking","data":"x"},
    {"type":"server_tool_use","id":"1","name":"w","input":{}},
    {"type":"text","text":"b"}])"));
}

TEST_CASE("turns that say nothing are left out", "[provider][anthropic]") {
  const auto body = body_of(R"([{"role":"user","content":"a"},{"role":"assistant","content":""},
    {"role":"user","content":[{"type":"text","text":""}]},{"role":"user","content":null},
    {"role":"assistant","refusal":"no","content":null}])");
  CHECK(body["messages"].size() == 2);
  CHECK(body["messages"][1]["content"][0]["text"] == "no");
  CHECK(complaint(R"([{"role":"system","content":"a"}])").starts_with("messages must hold"));
}

TEST_CASE("messages with no place in Anthropic's API are refused by name",
          "[provider][anthropic]") {
  const auto call = [](const std::string& inner) {
    return complaint(R"([{"role":"user","content":"a"},{"role":"assistant","content":null,)" + inner
                     + "}]");
  };
  CHECK(call(R"("tool_calls":[{"id":"t","type":"function","function":{"name":"f",
             "arguments":"{broken"}}])")
          .starts_with("messages[1].tool_calls[0].function.arguments"));
  CHECK(call(R"("tool_calls":[{"id":"t","type":"function","function":{"name":"f",
             "arguments":"[1]"}}])")
          .find("must be a JSON object")
        != std::string::npos);
  CHECK(call(R"("tool_calls":[{"id":"t","type":"custom","custom":{"name":"f","input":"x"}}])")
          .starts_with("messages[1].tool_calls[0]"));
  CHECK(call(R"("function_call":{"name":"f","arguments":"{}"})").find("tool_calls")
        != std::string::npos);
  CHECK(complaint(R"([{"role":"function","name":"f","content":"x"}])").find("use tool")
        != std::string::npos);
  CHECK(complaint(R"([{"role":"tool","content":"x"}])").find("tool_call_id") != std::string::npos);
}

TEST_CASE("parameters are said in Anthropic's words", "[provider][anthropic]") {
  CHECK(member("max_tokens", R"("max_tokens":7)") == 7);
  CHECK(member("max_tokens", R"("max_completion_tokens":9,"max_tokens":7)") == 9);
  CHECK(member("stop_sequences", R"("stop":"END")") == json{"END"});
  CHECK(member("stop_sequences", R"("stop":["a","b"])") == json{"a", "b"});
  CHECK(member("stop_sequences", R"("stop":null)").is_null());
  CHECK(member("stop_sequences", R"("stop_sequences":["x"])") == json{"x"});
  CHECK(member("temperature", R"("temperature":0.5)") == 0.5);
  CHECK(member("top_p", R"("top_p":0.9)") == 0.9);
  CHECK(member("top_k", R"("top_k":5)") == 5);
  CHECK(member("metadata", R"("user":"u1")") == json{{"user_id", "u1"}});
  CHECK(member("metadata", R"("metadata":{"user_id":"u2","x":"y"},"user":"u1")")
        == json{{"user_id", "u2"}});
  CHECK(member("service_tier", R"("service_tier":"standard_only")") == "standard_only");
  CHECK(member("service_tier", R"("service_tier":"flex")").is_null());
  CHECK(member("container", R"("container":"c_1")") == "c_1");
}

TEST_CASE("tools and the choice among them are said in Anthropic's words",
          "[provider][anthropic]") {
  const auto choice = [](const std::string& more) {
    return member("tool_choice", tools + (more.empty() ? "" : "," + more));
  };
  CHECK(member("tools", tools)[0]["input_schema"]["type"] == "object");
  CHECK(choice("").is_null());
  CHECK(choice(R"("tool_choice":"auto")") == json{{"type", "auto"}});
  CHECK(choice(R"("tool_choice":"none")") == json{{"type", "none"}});
  CHECK(choice(R"("tool_choice":"required")") == json{{"type", "any"}});
  CHECK(choice(R"("tool_choice":{"type":"function","function":{"name":"none"}})")
        == json{{"type", "tool"}, {"name", "none"}});
  CHECK(choice(R"("parallel_tool_calls":false)")
        == json{{"type", "auto"}, {"disable_parallel_tool_use", true}});
  CHECK(choice(R"("parallel_tool_calls":false,"tool_choice":"required")")
        == json{{"type", "any"}, {"disable_parallel_tool_use", true}});
  CHECK(choice(R"("parallel_tool_calls":false,"tool_choice":"none")") == json{{"type", "none"}});
  CHECK(choice(R"("parallel_tool_calls":true)").is_null());
  CHECK(member("tool_choice", R"("tool_choice":"auto")").is_null());
  const auto schema = [](const std::string& parameters) {
    return member("tools", R"("tools":[{"type":"function","function":{"name":"f")" + parameters
                             + "}}]")[0]["input_schema"];
  };
  for (const auto* nothing : {"", R"(,"parameters":null)", R"(,"parameters":{})"})
    CHECK(schema(nothing) == json::parse(R"({"type":"object","properties":{}})"));
  CHECK(schema(R"(,"parameters":{"properties":{"a":{}}})")
        == json::parse(R"({"type":"object","properties":{"a":{}}})"));
  for (const auto* type : {"null", R"(["object","null"])"})
    CHECK(schema(R"(,"parameters":{"$defs":{},"type":)" + std::string{type} + "}")
          == json::parse(R"({"type":"object","$defs":{}})"));
  CHECK(member("tools", R"("tools":[])").is_null());
  CHECK(
    member("tools",
           R"("tools":[{"type":"function","function":{"name":"f","strict":true}}])")[0]["strict"]
    == true);
  CHECK(complaint(hello, tools + R"(,"tool_choice":"sometimes")").starts_with("tool_choice"));
  CHECK(complaint(hello, R"("tools":[{"type":"custom","custom":{"name":"f"}}])")
          .starts_with("tools[0]"));
  CHECK(complaint(hello, R"("tools":[{"type":"function","function":{}}])").starts_with("tools[0]"));
  CHECK(complaint(hello, R"("tools":"f")").starts_with("tools must"));
}

TEST_CASE("a schema for the answer becomes Anthropic's output format", "[provider][anthropic]") {
  const auto config
    = member("output_config",
             R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
       "schema":{"type":"object"}}},"output_config":{"effort":"low","format":{}})");
  CHECK(config == json::parse(R"({"effort":"low","format":{"type":"json_schema",
                           "schema":{"type":"object"}}})"));
  CHECK(member("output_config", R"("response_format":{"type":"text"})").is_null());
  CHECK(complaint(hello, R"("response_format":{"type":"json_schema","json_schema":{}})")
          .starts_with("response_format.json_schema.schema"));
}

TEST_CASE("an answer in any JSON is asked for in words behind the instructions",
          "[provider][anthropic]") {
  const auto* asked = R"("response_format":{"type":"json_object"})";
  const std::string words = "Answer with one valid JSON object";
  CHECK(member("output_config", asked).is_null());
  CHECK(member("system", asked).get<std::string>().starts_with(words));
  const auto system = [&](const std::string& instructions) {
    return body_of(R"([{"role":"system","content":)" + instructions
                     + R"(},{"role":"user","content":"hi"}])",
                   asked)["system"];
  };
  CHECK(system(R"("Be kind.")").get<std::string>().starts_with("Be kind.\n\n" + words));
  const auto blocks = system(R"([{"type":"text","text":"Be kind.","cache_control":{}}])");
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0]["text"] == "Be kind.");
  CHECK(blocks[1]["text"].get<std::string>().starts_with(words));
}

TEST_CASE("calls without a bound are given what their model can write", "[provider][anthropic]") {
  CHECK(max_tokens_of("claude-3-haiku-20240307") == 4096);
  CHECK(max_tokens_of("claude-2.1") == 4096);
  CHECK(max_tokens_of("anthropic/claude-3.5-sonnet") == 8192);
  CHECK(max_tokens_of("claude-3-7-sonnet-latest") == 32'000);
  CHECK(max_tokens_of("claude-opus-4-1") == 32'000);
  CHECK(max_tokens_of("deepseek-chat") == 8192);
  anthropic_options roomy;
  roomy.max_tokens = 32'000;
  CHECK(member("max_tokens", R"("reasoning_effort":"high")", roomy) == 32'000);
  CHECK(member("max_tokens", R"("reasoning_effort":"xhigh")", roomy) == 32'768 + 4096);
  const auto* thinking = R"("thinking":{"type":"enabled","budget_tokens":31000})";
  CHECK(member("max_tokens", thinking, roomy) == 31'000 + 4096);
}

TEST_CASE("reasoning_effort becomes a budget below what the caller allows",
          "[provider][anthropic]") {
  struct row {
    const char* given;
    int budget;
    int max_tokens;
  };
  const auto [given, budget, max_tokens] = GENERATE(
    row{R"("reasoning_effort":"low")", 1024, 5120},
    row{R"("reasoning_effort":"medium")", 4096, 8192},
    row{R"("reasoning_effort":"high")", 16'384, 20'480},
    row{R"("reasoning_effort":"high","max_completion_tokens":8000)", 4000, 8000},
    row{R"("reasoning_effort":"high","max_tokens":1500)", 1024, 1500},
    row{R"("reasoning_effort":"high","max_tokens":1024)", 0, 1024},
    row{R"("reasoning_effort":"minimal")", 0, 4096}, row{R"("reasoning_effort":null)", 0, 4096},
    row{R"("thinking":{"type":"enabled","budget_tokens":2000},
                      "reasoning_effort":"high")",
        2000, 6096});
  INFO(given);
  const auto body = body_of(hello, given);
  CHECK(body["max_tokens"] == max_tokens);
  CHECK(body.contains("thinking") == (budget > 0));
  if (budget > 0)
    CHECK(body["thinking"] == json{{"type", "enabled"}, {"budget_tokens", budget}});
  CHECK(complaint(hello, R"("reasoning_effort":"huge")").starts_with("reasoning_effort"));
}

TEST_CASE("effort gives way where a model may not think", "[provider][anthropic]") {
  const std::string effort = R"("reasoning_effort":"high")";
  CHECK(member("thinking", effort + "," + tools + R"(,"tool_choice":"required")").is_null());
  for (const auto* sampling :
       {R"("temperature":0.2)", R"("temperature":0)", R"("top_p":0.5)", R"("top_k":5)"}) {
    const auto body = body_of(hello, effort + "," + sampling);
    CHECK_FALSE(body.contains("thinking"));
    CHECK((body.contains("temperature") || body.contains("top_p") || body.contains("top_k")));
  }
  CHECK(member("thinking", effort + R"(,"temperature":1,"top_p":0.95)")["type"] == "enabled");
  const auto answers_call = [&](const std::string& thinking) {
    return body_of(R"([{"role":"user","content":"a"},{"role":"assistant","content":null,)"
                     + thinking
                     + R"("tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},
                         {"role":"tool","tool_call_id":"t","content":"x"}])",
                   effort)
      .contains("thinking");
  };
  CHECK_FALSE(answers_call(""));
  CHECK(
    answers_call(R"("thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}],)"));
  anthropic_options adaptive;
  adaptive.reasoning = anthropic_reasoning::adaptive;
  const auto body = body_of(hello, effort, adaptive);
  CHECK(body["thinking"] == json{{"type", "adaptive"}});
  CHECK(body["output_config"] == json{{"effort", "high"}});
  CHECK(body["max_tokens"] == 4096);
  CHECK_FALSE(body_of(hello, effort + R"(,"temperature":0.5)", adaptive).contains("thinking"));
}

TEST_CASE("what Anthropic's API lacks is refused by name, unless it asks for nothing",
          "[provider][anthropic]") {
  struct row {
    const char* name;
    const char* neutral;
    const char* wrong;
  };
  const auto [name, neutral, wrong]
    = GENERATE(row{"n", "1", "2"}, row{"logprobs", "false", "true"}, row{"top_logprobs", "0", "3"},
               row{"frequency_penalty", "0.0", "0.5"}, row{"presence_penalty", "0", "-1"},
               row{"logit_bias", "{}", R"({"50256":-100})"},
               row{"modalities", R"(["text"])", R"(["text","audio"])"},
               row{"functions", "[]", R"([{"name":"f"}])"}, row{"web_search_options", "null", "{}"},
               row{"temperature", "1", "1.5"}, row{"temperature", "0", R"("hot")"},
               row{"max_tokens", "1", "0"}, row{"max_tokens", "1", "-5"}, row{"stop", "[]", "7"});
  INFO(name << " " << wrong);
  const auto said = [&](const char* value) { return "\"" + std::string{name} + "\":" + value; };
  CHECK(written(hello, said(neutral)));
  CHECK(written(hello, said("null")));
  CHECK(complaint(hello, said(wrong)).starts_with(name));
}

TEST_CASE("what changes nothing in the answer is left out", "[provider][anthropic]") {
  const auto body = body_of(hello, R"("seed":7,"store":true,"prediction":{"type":"content"},
    "verbosity":"low","prompt_cache_key":"k","prompt_cache_retention":"24h",
    "safety_identifier":"s","parallel_tool_calls":true,"n":1,"logprobs":false,"system":"mine",
    "top_k":null)");
  CHECK(body == json::parse(R"({"model":"claude","max_tokens":4096,
    "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})"));
}

TEST_CASE("rests that are no JSON are passed over", "[provider][anthropic]") {
  msg::chat_request request;
  request.model = "m";
  request.parameters = "{broken";
  request.messages = {{"user", "hi", "[not an object"}};
  const auto text = write_messages_request(request, {});
  REQUIRE(text);
  CHECK(json::parse(*text)["messages"].size() == 1);
}
