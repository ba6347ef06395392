#include "apis/openai/responses_json.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

response_order read(const std::string& body) {
  auto order = read_response_body(body);
  if (!order)
    INFO(order.error().why.detail);
  REQUIRE(order);
  return std::move(*order);
}

/// Reads a body with these members besides the model and a text.
response_order with(const std::string& members) {
  return read(R"({"model":"m","input":"hi",)" + members + "}");
}

api_error refused(const std::string& body) {
  const auto order = read_response_body(body);
  REQUIRE((!order || order->untyped));
  const auto error = order ? *order->untyped : order.error();
  CHECK(error.why.code == errc::bad_request);
  return error;
}

api_error refused_with(const std::string& members) {
  return refused(R"({"model":"m","input":"hi",)" + members + "}");
}

std::vector<msg::chat_message> talk(const std::vector<std::string>& items,
                                    std::string_view instructions = {}) {
  auto messages = conversation_of(items, instructions);
  if (!messages)
    INFO(messages.error().why.detail);
  REQUIRE(messages);
  return std::move(*messages);
}

api_error refused_item(const std::string& item) {
  const auto messages = conversation_of({R"({"role":"user","content":"x"})", item}, {});
  REQUIRE_FALSE(messages);
  return messages.error();
}

} // namespace

TEST_CASE("a text as input becomes a message of the user's", "[responses][json]") {
  const auto order
    = read(R"({"model":"openai/gpt","input":"hi \"there\"","instructions":"Be brief."})");
  CHECK(order.model == "openai/gpt");
  CHECK_FALSE(order.stream);
  CHECK(order.store);
  CHECK(order.parameters.empty());
  const auto messages = talk(order.input, order.instructions);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0] == msg::chat_message{"system", "Be brief.", {}});
  CHECK(messages[1] == msg::chat_message{"user", "hi \"there\"", {}});
}

TEST_CASE("items of a turn become one message of the assistant's", "[responses][json]") {
  const auto messages = talk({
    R"({"role":"developer","content":"Use tools."})",
    R"({"type":"message","role":"user","content":[{"type":"input_text","text":"weather?"}]})",
    R"({"type":"reasoning","id":"rs_1","summary":[],
         "content":[{"type":"reasoning_text","text":"hm"}]})",
    R"({"type":"message","role":"assistant","content":[
         {"type":"output_text","text":"I ","annotations":[]},
         {"type":"output_text","text":"look."}]})",
    R"({"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}"})",
    R"({"type":"function_call","call_id":"c2","name":"g","arguments":"{}"})",
    R"({"type":"function_call_output","call_id":"c1","output":"sun"})",
    R"({"type":"function_call_output","call_id":"c2",
         "output":[{"type":"input_text","text":"rain"}]})",
    R"({"type":"reasoning","summary":[{"type":"summary_text","text":"sum"}]})",
    R"({"role":"assistant","content":"Both."})",
    R"({"role":"assistant","content":"Really."})",
  });
  REQUIRE(messages.size() == 7);
  CHECK(messages[0] == msg::chat_message{"developer", "Use tools.", {}});
  CHECK(messages[1].content == "weather?");
  CHECK(messages[2].role == "assistant");
  CHECK(messages[2].content == "I look.");
  CHECK(messages[2].rest == R"({"reasoning_content":"hm"})");
  CHECK(messages[2].tool_calls
        == std::vector<msg::tool_call>{
          {0, "c1", "function", "f", R"({"a":1})", {}},
          {1, "c2", "function", "g", "{}", {}},
        });
  CHECK(messages[3] == msg::chat_message{"tool", "sun", R"({"tool_call_id":"c1"})"});
  CHECK(messages[4] == msg::chat_message{"tool", "rain", R"({"tool_call_id":"c2"})"});
  CHECK(messages[5].content == "Both.");
  CHECK(messages[5].rest == R"({"reasoning_content":"sum"})");
  CHECK(messages[6].content == "Really.");
}

TEST_CASE("a turn without text has null content, thoughts alone are no message",
          "[responses][json]") {
  const auto messages
    = talk({R"({"type":"function_call","call_id":"c","name":"f","arguments":""})",
            R"({"type":"function_call_output","call_id":"c","output":"x"})",
            R"({"type":"reasoning","summary":[]})", R"({"role":"user","content":"go on"})"});
  REQUIRE(messages.size() == 3);
  CHECK(json::parse(messages[0].rest)["content"].is_null());
  CHECK(messages[2].role == "user");
}

TEST_CASE("thinking blocks come back from where they were kept", "[responses][json]") {
  const auto blocks = R"([{"type":"thinking","thinking":"hm","signature":"s"}])";
  const json item{{"type", "reasoning"}, {"summary", json::array()}, {"encrypted_content", blocks}};
  const auto foreign = R"({"type":"reasoning","summary":[],"encrypted_content":"gAAAA"})";
  const auto messages = talk({item.dump(), R"({"role":"assistant","content":"a"})", foreign,
                              R"({"role":"assistant","content":"b"})"});
  CHECK(json::parse(messages[0].rest)["thinking_blocks"] == json::parse(blocks));
  CHECK(messages[1].rest.empty());
}

TEST_CASE("images, files and parts of other types are content parts", "[responses][json]") {
  const auto messages = talk({R"({"role":"user","content":[
    {"type":"input_text","text":"see","cache_control":{"type":"ephemeral"}},
    {"type":"input_image","image_url":"data:image/png;base64,AA","detail":"low"},
    {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA"},
    {"type":"document","source":{"x":1}}]})"});
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].content.empty());
  CHECK(json::parse(messages[0].rest)["content"] == json::parse(R"([
    {"type":"text","text":"see","cache_control":{"type":"ephemeral"}},
    {"type":"image_url","image_url":{"url":"data:image/png;base64,AA","detail":"low"}},
    {"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"a.pdf"}},
    {"type":"document","source":{"x":1}}])"));
}

TEST_CASE("function tools and choices among them are nested", "[responses][json]") {
  const auto order = with(R"("tools":[{"type":"function","name":"f","description":"d",
    "parameters":{"type":"object","properties":{"b":{},"a":{}}},"strict":true,"x":1}],
    "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false)");
  CHECK(json::parse(order.parameters) == json::parse(R"({"tools":[{"type":"function","function":{
    "name":"f","description":"d","parameters":{"type":"object","properties":{"b":{},"a":{}}},
    "strict":true},"x":1}],"tool_choice":{"type":"function","function":{"name":"f"}},
    "parallel_tool_calls":false})"));
  // The order of a schema's properties is the order in which a model writes them.
  CHECK(order.parameters.find(R"({"b":{},"a":{}})") != std::string::npos);
  const auto allowed = with(R"("tools":[{"type":"function","name":"f"}],
    "tool_choice":{"type":"allowed_tools","mode":"auto",
                   "tools":[{"type":"function","name":"f"}]})");
  CHECK(json::parse(allowed.parameters)["tool_choice"] == json::parse(R"({"type":"allowed_tools",
    "allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}})"));
  CHECK(with(R"("tools":[],"tool_choice":"auto")").parameters.empty());
}

TEST_CASE("parameters get the names of chat completions", "[responses][json]") {
  const auto order = with(R"("text":{"format":{"type":"json_schema","name":"n","strict":true,
    "schema":{"type":"object"}},"verbosity":"low"},"reasoning":{"effort":"high","summary":"auto"},
    "max_output_tokens":50,"temperature":0.5,"top_p":null,"top_logprobs":2,"user":"u",
    "metadata":{"a":"b"},"truncation":"auto","include":["x"],"top_k":7,"store":false)");
  CHECK(json::parse(order.parameters) == json::parse(R"({"response_format":{"type":"json_schema",
    "json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}},"verbosity":"low",
    "reasoning_effort":"high","max_completion_tokens":50,"temperature":0.5,"logprobs":true,
    "top_logprobs":2,"user":"u","top_k":7})"));
  CHECK_FALSE(order.store);
  const auto object = with(R"("text":{"format":{"type":"json_object"}})");
  CHECK(object.parameters == R"({"response_format":{"type":"json_object"}})");
  CHECK(with(R"("text":{"format":{"type":"text"}})").parameters.empty());
}

TEST_CASE("the response repeats what was asked for", "[responses][json]") {
  const auto echo = json::parse(
    with(R"("instructions":"i","temperature":0.5,"metadata":{"a":"b"},"truncation":"auto",
      "tools":[{"type":"function","name":"f","parameters":{}}],"previous_response_id":"resp_1")")
      .echo);
  CHECK(echo["instructions"] == "i");
  CHECK(echo["temperature"] == 0.5);
  CHECK(echo["top_p"] == 1);
  CHECK(echo["presence_penalty"] == 0);
  CHECK(echo["frequency_penalty"] == 0);
  CHECK(echo["service_tier"] == "default");
  CHECK(echo["safety_identifier"].is_null());
  CHECK(echo["prompt_cache_key"].is_null());
  CHECK(echo["tools"][0]["description"].is_null());
  CHECK(echo["tools"][0]["strict"].is_null());
  CHECK(echo["metadata"] == json{{"a", "b"}});
  CHECK(echo["tools"][0]["name"] == "f");
  CHECK(echo["previous_response_id"] == "resp_1");
  CHECK(echo["truncation"] == "disabled"); // What is in force.
  CHECK(echo["tool_choice"] == "auto");
  CHECK(echo["parallel_tool_calls"] == true);
  CHECK(echo["store"] == true);
  CHECK(echo["text"]["format"]["type"] == "text");
}

TEST_CASE("the response repeats formats and choices with all members", "[responses][json]") {
  const auto echo = [](const std::string& members) { return json::parse(with(members).echo); };
  CHECK(echo(R"("presence_penalty":0.5)")["presence_penalty"] == 0.5);
  CHECK(echo(R"("text":{"format":null})")["text"]["format"] == json{{"type", "text"}});
  const auto format
    = echo(R"("text":{"format":{"type":"json_schema","name":"t","schema":{}}})")["text"]["format"];
  CHECK(format["description"].is_null());
  CHECK(format["strict"] == false);
  const auto allowed = R"("tools":[{"type":"function","name":"a"}],
    "tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"a"}]})";
  CHECK(echo(allowed)["tool_choice"]["mode"] == "auto");
  const auto order = with(allowed);
  CHECK(json::parse(order.parameters)["tool_choice"]["allowed_tools"]["mode"] == "auto");
  CHECK(order.rules.allowed == std::set<std::string>{"a"});
}

TEST_CASE("a member of a wrong type is refused by name", "[responses][json]") {
  CHECK(refused_with(R"("tool_choice":"sometimes")").param == "tool_choice");
  CHECK(refused_with(R"("temperature":"hot")").param == "temperature");
  CHECK(refused_with(R"("text":{"format":{"type":"yaml"}})").param == "text.format.type");
  CHECK(refused_with(R"("max_output_tokens":"many")").param == "max_output_tokens");
  CHECK(refused_with(R"("metadata":"no")").param == "metadata");
  CHECK(refused_with(R"("parallel_tool_calls":"yes")").param == "parallel_tool_calls");
  CHECK(refused_with(R"("reasoning":{"effort":1})").param == "reasoning.effort");
  CHECK(refused_with(R"("tools":[{"type":"function","name":"f","strict":1}])").param
        == "tools[0].strict");
}

TEST_CASE("tools in namespaces, custom tools and optional ones are served", "[responses][json]") {
  const auto order = read(R"({"model":"m","client_metadata":{"a":"b"},"parallel_tool_calls":true,
    "tools":[{"type":"web_search"},
      {"type":"namespace","name":"team","tools":[{"type":"function","name":"ask"}]},
      {"type":"custom","name":"patch","format":{"type":"grammar","syntax":"lark",
                                                "definition":"d"}}],
    "input":[{"type":"additional_tools","tools":[{"type":"function","name":"more"}]},
             {"type":"configuration_update"},{"role":"user","content":"hi"},
             {"type":"function_call","call_id":"c","namespace":"team","name":"ask"},
             {"type":"custom_tool_call","call_id":"d","name":"patch","input":"x"},
             {"type":"custom_tool_call_output","call_id":"d","output":"y"}]})");
  CHECK(json::parse(order.parameters) == json::parse(R"({"parallel_tool_calls":true,"tools":[
    {"type":"function","function":{"name":"team__ask"}},
    {"type":"custom","custom":{"name":"patch","format":{"type":"grammar",
      "grammar":{"syntax":"lark","definition":"d"}}}},
    {"type":"function","function":{"name":"more"}}]})"));
  CHECK(json::parse(order.echo)["tools"].size() == 2); // Those in force.
  const auto messages = talk(order.input);
  REQUIRE(messages.size() == 3);
  CHECK(messages[1].tool_calls.at(0).name == "team__ask");
  CHECK(messages[1].tool_calls.at(1).type == "custom");
  CHECK(messages[1].tool_calls.at(1).arguments == "x");
  CHECK(with(R"("tools":[{"type":"web_search"}],"parallel_tool_calls":true)").parameters.empty());
  CHECK(refused_with(R"("tools":[{"type":"web_search"}],"tool_choice":"required")").param
        == "tool_choice");
}

TEST_CASE("what cannot be served is refused by name", "[responses][json]") {
  CHECK(refused_with(R"("background":true)").param == "background");
  CHECK(refused_with(R"("conversation":"conv_1")").param == "conversation");
  CHECK(refused_with(R"("prompt":{"id":"p"})").param == "prompt");
  const auto hosted
    = refused_with(R"("tools":[{"type":"function","name":"f"},{"type":"file_search"}])");
  CHECK(hosted.param == "tools[1].type");
  CHECK(hosted.why.detail.find("file_search") != std::string::npos);
  CHECK(refused_with(R"("tool_choice":{"type":"file_search"})").param == "tool_choice");
  CHECK(refused_item(R"({"type":"computer_call_output","output":{}})").param == "input[1].type");
  CHECK(refused_item(R"({"type":"item_reference","id":"x"})").param == "input[1].id");
  CHECK(refused_item(R"({"role":"user","content":[{"type":"input_image","file_id":"f"}]})").param
        == "input[1].content[0].image_url");
}

TEST_CASE("a malformed body says what is wrong", "[responses][json]") {
  CHECK(refused("").param.empty());
  CHECK(refused("[1]").param.empty());
  CHECK(refused("{").param.empty());
  CHECK(refused(std::string(100, '[')).param.empty());
  CHECK(refused(R"({"input":"hi"})").param == "model");
  CHECK(refused(R"({"model":"m"})").param == "input");
  CHECK(refused(R"({"model":"m","input":[]})").param == "input");
  CHECK(refused(R"({"model":"m","input":7})").param == "input");
  CHECK(refused_with(R"("stream":"yes")").param == "stream");
  CHECK(refused_with(R"("store":1)").param == "store");
  CHECK(refused_with(R"("instructions":[1])").param == "instructions");
  CHECK(refused_with(R"("previous_response_id":7)").param == "previous_response_id");
  CHECK(refused_with(R"("tools":{})").param == "tools");
  CHECK(refused_with(R"("tools":[{"type":"function"}])").param == "tools[0].name");
  CHECK(refused_item("7").param == "input[1]");
  CHECK(refused_item(R"({"role":"robot","content":"x"})").param == "input[1].role");
  CHECK(refused_item(R"({"role":"user"})").param == "input[1].content");
  CHECK(refused_item(R"({"role":"user","content":[{"text":"x"}]})").param == "input[1].content[0]");
  CHECK(refused_item(R"({"role":"assistant","content":[{"type":"input_image"}]})").param
        == "input[1].content[0].type");
  CHECK(refused_item(R"({"type":"function_call","name":"f"})").param == "input[1].call_id");
  CHECK(refused_item(R"({"type":"function_call_output","output":"x"})").param
        == "input[1].call_id");
  CHECK(read(R"({"model":"m","previous_response_id":"resp_1"})").input.empty());
  CHECK_FALSE(conversation_of({R"({"type":"reasoning","summary":[]})"}, "i"));
}

TEST_CASE("an item is shown with type, id and parts", "[responses][json]") {
  CHECK(json::parse(shown_item(R"({"role":"user","content":"x"})", "in_1"))
        == json::parse(R"({"id":"in_1","type":"message","role":"user",
             "content":[{"type":"input_text","text":"x"}]})"));
  const auto* whole = R"({"id":"fc_1","type":"function_call","call_id":"c","name":"f"})";
  CHECK(shown_item(whole, "in_1") == whole);
}
