#include "apis/openai/chat_json.hpp"
#include "cli/simulate/flavour.hpp"
#include "cli/simulate/service.hpp"
#include "runtime/base/text.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::cli::simulate;
using nlohmann::json;

namespace {

service serving(const std::string& flavour) {
  return service{load_plan({}, {"upstream.flavour=" + flavour}).value()};
}

script answer(const std::string& flavour, const json& body, dialect spoken = dialect::openai) {
  net::http_request request;
  request.method = "POST";
  request.path = spoken == dialect::openai ? "/v1/chat/completions" : "/v1/messages";
  request.headers.add("anthropic-version", "2023-06-01");
  request.body = body.dump();
  return serving(flavour).answer(request, time_point{1h}).what;
}

json question(bool stream = false, const std::string& text = "Repeat: one two") {
  return {{"model", "small"},
          {"max_tokens", 2'000},
          {"stream", stream},
          {"messages", {{{"role", "user"}, {"content", text}}}}};
}

json with_tool(json body) {
  body["messages"][0]["content"] = "weather";
  body["tools"] = {{{"type", "function"},
                    {"function",
                     {{"name", "weather"},
                      {"parameters",
                       {{"type", "object"},
                        {"properties", {{"city", {{"type", "string"}}}}},
                        {"required", {"city"}}}}}}}};
  return body;
}

std::string text_of(const script& made) {
  std::string all;
  for (const auto& each : made.pieces)
    all += each.bytes;
  return all;
}

json whole(const std::string& flavour, const json& body, dialect spoken = dialect::openai) {
  return json::parse(text_of(answer(flavour, body, spoken)));
}

/// The data of a stream's events that is JSON.
std::vector<json> chunks(const std::string& flavour, const json& body,
                         dialect spoken = dialect::openai) {
  std::vector<json> all;
  for (const auto& each : answer(flavour, body, spoken).pieces)
    for (auto at = each.bytes.find("data: {"); at != std::string::npos;
         at = each.bytes.find("data: {", at + 1))
      all.push_back(json::parse(each.bytes.substr(at + 6, each.bytes.find("\n\n", at) - at - 6)));
  return all;
}

/// What a stream says in all, as skep reads it: text, finish and call.
std::string read_stream(const std::string& flavour, const json& body) {
  actors::chunk_reader reader;
  std::string said;
  std::string call;
  for (const auto& each : chunks(flavour, body)) {
    const auto event = reader.read(each.dump());
    REQUIRE(event);
    for (const auto& piece : event->chunks) {
      said += piece.content;
      for (const auto& part : piece.tool_calls)
        call += part.name + part.arguments;
    }
  }
  return said + call;
}

const auto openai_kinds
  = {"openai", "azure", "vllm", "ollama", "mistral", "gemini", "deepseek", "openrouter", "strict"};

} // namespace

TEST_CASE("a kind of server is one of a list", "[cli][simulate]") {
  CHECK(load_plan({}, {}).value().upstream.flavour.empty());
  const auto wrong = load_plan({}, {"upstream.flavour=vanilla"});
  REQUIRE_FALSE(wrong);
  CHECK(to_string(wrong.error()).find("openai, azure, vllm") != std::string::npos);
  CHECK(find_flavour("anthropic")->spoken == dialect::anthropic);
}

TEST_CASE("every kind of server says the same", "[cli][simulate]") {
  const std::string kind = GENERATE(values<const char*>(openai_kinds));
  CAPTURE(kind);
  const auto plain = whole("", question());
  CHECK(whole(kind, question())["choices"][0]["message"]["content"]
        == plain["choices"][0]["message"]["content"]);
  CHECK(read_stream(kind, question(true)) == read_stream("", question(true)));
  CHECK(read_stream(kind, with_tool(question(true))) == read_stream("", with_tool(question(true))));
  CHECK(text_of(answer(kind, question(true))).ends_with("data: [DONE]\n\n"));
  const auto call = whole(kind, with_tool(question()))["choices"][0]["message"]["tool_calls"][0];
  CHECK(call["function"]["name"] == "weather");
}

TEST_CASE("what comes before the first chunk and behind the last differs", "[cli][simulate]") {
  CHECK(text_of(answer("openrouter", question(true))).starts_with(": OPENROUTER PROCESSING\n\n"));
  const auto azure = chunks("azure", question(true));
  CHECK(azure.front()["choices"].empty());
  CHECK(azure.front()["id"] == "");
  CHECK(azure.front().contains("prompt_filter_results"));
  const auto routed = chunks("openrouter", question(true));
  CHECK(routed.back()["choices"][0]["finish_reason"] == "stop");
  CHECK(routed[routed.size() - 2]["choices"][0]["finish_reason"] == "stop");
  CHECK(routed.back()["usage"].contains("cost"));
  const auto deepseek = chunks("deepseek", question(true));
  CHECK(deepseek.back()["choices"][0]["finish_reason"] == "stop");
  CHECK(deepseek.back()["usage"].contains("prompt_cache_hit_tokens"));
  for (const auto& each : chunks("gemini", question(true)))
    CHECK(each["usage"].contains("total_tokens"));
}

TEST_CASE("calls come in one piece where a server makes them so", "[cli][simulate]") {
  for (const auto* kind : {"ollama", "mistral", "gemini"}) {
    CAPTURE(kind);
    std::vector<json> calls;
    for (const auto& each : chunks(kind, with_tool(question(true))))
      for (const auto& choice : each["choices"])
        if (choice["delta"].contains("tool_calls"))
          calls.push_back(choice["delta"]["tool_calls"]);
    REQUIRE(calls.size() == 1);
    CHECK(json::parse(calls[0][0]["function"]["arguments"].get<std::string>()).contains("city"));
    CHECK(calls[0][0].contains("index") == (kind != std::string{"mistral"}));
    CHECK(calls[0][0].contains("extra_content") == (kind == std::string{"gemini"}));
  }
  CHECK(whole("mistral", with_tool(question()))["choices"][0]["message"]["tool_calls"][0]["id"]
          .get<std::string>()
          .size()
        == 9);
}

TEST_CASE("a thought has the server's name", "[cli][simulate]") {
  auto body = question();
  body["reasoning_effort"] = "low";
  const auto message = [&](const char* kind) { return whole(kind, body)["choices"][0]["message"]; };
  CHECK(message("deepseek")["reasoning_content"].is_string());
  CHECK(message("ollama")["reasoning"].is_string());
  CHECK(message("mistral")["content"][0]["type"] == "thinking");
  CHECK(message("mistral")["content"][1]["type"] == "text");
  body["stream"] = true;
  CHECK(chunks("mistral", body)[1]["choices"][0]["delta"]["content"][0]["type"] == "thinking");
}

TEST_CASE("an error has the server's form", "[cli][simulate]") {
  const json wrong{{"model", "small"}};
  const std::string message = whole("openai", wrong)["error"]["message"];
  CHECK(whole("azure", wrong)["error"] == json{{"code", 400}, {"message", message}});
  CHECK(whole("vllm", wrong)["message"] == message);
  CHECK(whole("vllm", wrong)["object"] == "error");
  CHECK(whole("gemini", wrong)[0]["error"]["message"] == message);
  CHECK(whole("openrouter", wrong)["error"]["code"] == 400);
  CHECK(answer("gemini", wrong).status == 400);
}

TEST_CASE("Anthropic's answers have all members, and blanks behind them", "[cli][simulate]") {
  constexpr auto spoken = dialect::anthropic;
  const auto message = whole("anthropic", question(), spoken);
  CHECK(message.contains("stop_details"));
  CHECK(message["usage"]["inference_geo"] == "global");
  const auto events = chunks("anthropic", question(true), spoken);
  CHECK(events.front()["message"]["usage"]["service_tier"] == "standard");
  CHECK(events[events.size() - 2]["usage"]["input_tokens"] > 0);
  CHECK(text_of(answer("anthropic", question(true), spoken)).ends_with("}      \n\n"));
  // The other API is answered plainly.
  CHECK(whole("anthropic", question()) == whole("", question()));
}

TEST_CASE("a strict server refuses what its API does not know", "[cli][simulate]") {
  auto body = question();
  body["top_k"] = 3;
  const auto refused = whole("strict", body)["error"];
  CHECK(refused["message"] == "Unknown parameter: 'top_k'.");
  CHECK(refused["param"] == "top_k");
  CHECK(refused["code"] == "unknown_parameter");
  CHECK(whole("strict", body, dialect::anthropic).contains("content"));
  body = question();
  body["messages"][0]["content"] = {{{"type", "text"}, {"text", "x"}, {"cache_control", {}}}};
  CHECK(whole("strict", body)["error"]["param"] == "messages[0].content[0].cache_control");
  body["messages"][0]["reasoning_content"] = "hm";
  CHECK(whole("strict", body, dialect::anthropic)["error"]["message"]
        == "messages.0.reasoning_content: Extra inputs are not permitted");
}
