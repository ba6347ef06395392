#include "apis/openai/extensions.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

std::string parameters(std::string text, const std::string& model = {}) {
  msg::chat_request request;
  request.model = model;
  request.parameters = std::move(text);
  return without_extensions(std::move(request)).parameters;
}

std::string rest(std::string text) {
  msg::chat_request request;
  request.messages = {{"user", {}, std::move(text)}};
  return without_extensions(std::move(request)).messages.front().rest;
}

} // namespace

TEST_CASE("members only other APIs have are left out, the others keep bytes and order",
          "[actors][openai][extensions]") {
  CHECK(parameters(R"({"top_k":5,"temperature": 1.0,"thinking":{"type":"enabled"},"a":1})")
        == R"({"temperature":1.0,"a":1})");
  CHECK(parameters(R"({"top_k":5})").empty());
  CHECK(parameters({}).empty());
  CHECK(rest(R"({"thinking_blocks":[1],"reasoning_content":"x"})").empty());
  CHECK(rest(R"({"tool_call_id":"7","is_error":true})") == R"({"tool_call_id":"7"})");
}

TEST_CASE("cache marks go from parts, calls and tools", "[actors][openai][extensions]") {
  CHECK(rest(R"({"content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}, 7]})")
        == R"({"content":[{"type":"text","text":"a"},7]})");
  msg::chat_request request;
  msg::chat_message turn{"assistant", {}, {}};
  turn.tool_calls = {{0, "c", "function", "f", "{}", R"({"cache_control":{},"caller":{},"a": 1})"},
                     {1, "d", "function", "g", "{}", R"({"cache_control":{}})"}};
  request.messages = {turn};
  const auto plain = without_extensions(std::move(request)).messages.front();
  CHECK(plain.tool_calls.at(0).extra == R"({"a":1})");
  CHECK(plain.tool_calls.at(1).extra.empty());
  CHECK(parameters(R"({"tools":[{"type":"function","defer_loading":true,"function":{"b":1,"a":2}},)"
                   R"({"type":"web_search_20250305","name":"web_search"}]})")
        == R"({"tools":[{"type":"function","function":{"b":1,"a":2}},)"
           R"({"type":"web_search_20250305","name":"web_search"}]})");
}

TEST_CASE("a budget of thinking is an effort for models that reason",
          "[actors][openai][extensions]") {
  const auto effort = [](const std::string& budget, const std::string& more = {},
                         const std::string& model = "gpt-5") {
    return parameters(
      R"({"a":1,"thinking":{"type":"enabled","budget_tokens":)" + budget + "}" + more + "}", model);
  };
  CHECK(effort("1024") == R"({"a":1,"reasoning_effort":"low"})");
  CHECK(effort("4096") == R"({"a":1,"reasoning_effort":"medium"})");
  CHECK(effort("16384") == R"({"a":1,"reasoning_effort":"high"})");
  CHECK(effort("1024", R"(,"reasoning_effort":"high")") == R"({"a":1,"reasoning_effort":"high"})");
  CHECK(effort("1024", {}, "gpt-4.1") == R"({"a":1})");
  CHECK(effort("0") == R"({"a":1})");
  CHECK(parameters(R"({"thinking":{"type":"disabled"},"a":1})", "o3") == R"({"a":1})");
}

TEST_CASE("the earlier name of an answer's format is said in OpenAI's words as well",
          "[actors][openai][extensions]") {
  const std::string given = R"({"output_format":{"type":"json_schema","schema":{}}})";
  CHECK(has_anthropic_words(given));
  CHECK(in_openai_words(given).starts_with(R"({"response_format":{"type":"json_schema")"));
}

TEST_CASE("a bound of the answer takes its newer name, unless that is there",
          "[actors][openai][extensions]") {
  CHECK(with_newer_bound(R"({"a":1,"max_tokens":5})") == R"({"a":1,"max_completion_tokens":5})");
  const auto* both = R"({"max_tokens":5,"max_completion_tokens":6})";
  CHECK(with_newer_bound(both) == both);
  CHECK(with_newer_bound("").empty());
}

TEST_CASE("a request without such members stays as it is", "[actors][openai][extensions]") {
  const std::string text = R"({"content": [ {"type":"text","text":"a"} ],  "name":"n"})";
  CHECK(rest(text) == text);
  const std::string odd = "no json at all, but thinking";
  CHECK_NOTHROW(rest(odd));
  CHECK_NOTHROW(parameters(odd));
}

TEST_CASE("what Anthropic's API calls otherwise gets OpenAI's words",
          "[actors][openai][extensions]") {
  CHECK_FALSE(has_anthropic_words(R"({"max_tokens": 9})"));
  CHECK(has_anthropic_words(R"({"output_config":{}})"));
  CHECK(in_openai_words(R"({"service_tier":"standard_only","a":1})")
        == R"({"service_tier":"default","a":1})");
  CHECK(in_openai_words(R"({"output_config":{"effort":"max"}})")
        == R"({"reasoning_effort":"xhigh"})");
  CHECK(in_openai_words(R"({"output_config":{"effort":"low"},"reasoning_effort":"high"})")
        == R"({"reasoning_effort":"high"})");
  CHECK(in_openai_words(R"({"output_config":{"task_budget":{"total":5}}})").empty());
  const auto formatted = [](const std::string& schema) {
    return in_openai_words(R"({"output_config":{"format":{"type":"json_schema","schema":)" + schema
                           + "}}}");
  };
  const auto expected = [](const std::string& schema, const std::string& strict) {
    return R"({"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":)"
           + strict + R"(,"schema":)" + schema + "}}}";
  };
  const std::string strict = R"({"type":"object", "properties":{"a":{"type":"array","items":)"
                             R"({"type":"object","properties":{"b":{"type":"string"}},)"
                             R"("required":["b"],"additionalProperties":false}}},)"
                             R"("required":["a"],"additionalProperties":false})";
  CHECK(formatted(strict) == expected(strict, "true"));
  const std::string optional = R"({"type":"object","properties":{"a":{"type":"string"}},)"
                               R"("additionalProperties":false})";
  CHECK(formatted(optional) == expected(optional, "false"));
  const std::string long_one
    = R"({"type":"object","description":")" + std::string(120'000, 'x') + "\"}";
  CHECK(formatted(long_one) == expected(long_one, "false"));
  const std::string inside = R"({"anyOf":[)" + optional + "]}";
  CHECK(formatted(inside) == expected(inside, "false"));
}
