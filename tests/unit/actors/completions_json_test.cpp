#include "apis/openai/chat_json.hpp"
#include "apis/openai/completions_format.hpp"
#include "apis/openai/completions_json.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

completions_body read(const std::string& members) {
  const auto got = read_completions_body(R"({"model":"m",)" + members + "}");
  REQUIRE(got);
  return *got;
}

std::string param_of(const std::string& body) {
  INFO(body);
  const auto got = read_completions_body(body);
  REQUIRE_FALSE(got);
  CHECK(got.error().why.code == errc::bad_request);
  return got.error().param;
}

msg::chat_reply reply_with(const std::vector<std::string>& texts) {
  msg::chat_reply reply;
  reply.id = "chatcmpl-7";
  reply.created = 5;
  reply.model = "tiny";
  for (const auto& text : texts) {
    auto& choice = reply.choices.emplace_back();
    choice.index = static_cast<std::uint32_t>(reply.choices.size() - 1);
    choice.content = text;
    choice.finish_reason = "stop";
  }
  reply.usage.prompt = 3;
  reply.usage.completion = 2;
  reply.usage.rest = R"({"prompt_tokens_details":{"audio_tokens":1},"x":2})";
  reply.origin.attempts = 1;
  return reply;
}

} // namespace

TEST_CASE("a prompt is one message, other members are parameters as they came",
          "[actors][completions]") {
  const auto got = read(R"("prompt":"a\nb","max_tokens": 5,"logit_bias":{ "5":1.0},"user":"u",)"
                        R"("seed":null,"stream":false,"suffix":"","best_of":1,"logprobs":null)");
  CHECK(got.prompts == std::vector<std::string>{"a\nb"});
  CHECK_FALSE(got.echo);
  const auto chat = completion_chat(got, 0);
  CHECK(chat.model == "m");
  CHECK(chat.messages == std::vector<msg::chat_message>{{"user", "a\nb", {}}});
  CHECK(chat.parameters == R"({"max_tokens":5,"logit_bias":{ "5":1.0},"user":"u"})");
  CHECK_FALSE(chat.stream);
}

TEST_CASE("a list of prompts is a chat each", "[actors][completions]") {
  const auto got = read(R"("prompt":["a","b"],"n":3,"best_of":3,"echo":true)");
  CHECK(got.choices == 3);
  CHECK(got.echo);
  CHECK(completion_chat(got, 1).messages.front().content == "b");
  CHECK(got.request.parameters == R"({"n":3})");
}

TEST_CASE("a stream of one prompt may ask for usage", "[actors][completions]") {
  const auto got = read(R"("prompt":["a"],"stream":true,"stream_options":{"include_usage":true})");
  CHECK(got.request.stream);
  CHECK(got.include_usage);
}

TEST_CASE("bodies of completions that cannot be served are refused", "[actors][completions]") {
  const auto param_with = [](const std::string& members) {
    return param_of(R"({"model":"m","prompt":"a",)" + members + "}");
  };
  CHECK(param_of("").empty());
  CHECK(param_of("[]").empty());
  CHECK(param_of(std::string(100, '[')).empty());
  CHECK(param_of(R"({"prompt":"a"})") == "model");
  CHECK(param_of(R"({"model":7,"prompt":"a"})") == "model");
  for (const auto* prompt : {"null", "[]", "{}", "7", "[1,2]", "[[1],[2]]", "[\"a\",1]"})
    CHECK(param_of(R"({"model":"m","prompt":)" + std::string{prompt} + "}") == "prompt");
  CHECK(param_of(R"({"model":"m"})") == "prompt");
  auto many = json{{"model", "m"}, {"prompt", std::vector<std::string>(65, "a")}};
  CHECK(param_of(many.dump()) == "prompt");
  many["prompt"].erase(0);
  CHECK(read_completions_body(many.dump()));
  many["stream"] = true;
  CHECK(param_of(many.dump()) == "prompt");
  for (const auto* n : {"0", "-1", "1.0", "129", "\"1\""})
    CHECK(param_with(R"("n":)" + std::string{n}) == "n");
  CHECK(param_with(R"("best_of":2)") == "best_of");
  CHECK(param_with(R"("n":2,"best_of":3)") == "best_of");
  CHECK(param_with(R"("suffix":"b")") == "suffix");
  CHECK(param_with(R"("logprobs":0)") == "logprobs");
  CHECK(param_with(R"("messages":[])") == "messages");
  CHECK(param_with(R"("echo":1)") == "echo");
  CHECK(param_with(R"("stream":"yes")") == "stream");
  CHECK(param_with(R"("stream_options":{})") == "stream_options");
  CHECK(param_with(R"("stream":true,"stream_options":1)") == "stream_options");
}

TEST_CASE("replies to several prompts become one", "[actors][completions]") {
  auto first = reply_with({"a", "b"});
  auto second = reply_with({"c", "d"});
  first.origin.cache = static_cast<std::uint8_t>(msg::cache_status::hit);
  second.origin.cache = static_cast<std::uint8_t>(msg::cache_status::miss);
  second.origin.provider = "sim";
  const auto got = merged_completions({first, second}, 2);
  REQUIRE(got.choices.size() == 4);
  for (std::uint32_t n = 0; n < 4; ++n)
    CHECK(got.choices[n].index == n);
  CHECK(got.choices[3].content == "d");
  CHECK(got.id == "chatcmpl-7");
  CHECK(got.usage.prompt == 6);
  CHECK(got.usage.completion == 4);
  CHECK(got.usage.rest.empty());
  CHECK(got.origin.attempts == 2);
  CHECK(got.origin.provider == "sim");
  CHECK(merged_completions({first}, 2) == first);
  CHECK(merged_completions({}, 2) == msg::chat_reply{});
}

TEST_CASE("a whole text completion echoes the prompt of each choice", "[actors][completions]") {
  auto reply = reply_with({"1", "2", "3", "4"});
  reply.choices[2].message_rest = R"({"refusal":"no"})";
  reply.choices[3].finish_reason.clear();
  reply.rest = R"({"system_fingerprint":"fp"})";
  const auto got = json::parse(completions_format({{"a ", "b "}, 2, false})->whole(reply));
  CHECK(got["id"] == "cmpl-7");
  CHECK(got["object"] == "text_completion");
  CHECK(got["created"] == 5);
  CHECK(got["system_fingerprint"] == "fp");
  CHECK(got["choices"][0]["text"] == "a 1");
  CHECK(got["choices"][1]["text"] == "a 2");
  CHECK(got["choices"][2]["text"] == "b 3no");
  CHECK(got["choices"][3]["finish_reason"].is_null());
  CHECK(got["choices"][3].at("logprobs").is_null());
  CHECK(got["usage"]
        == json::parse(R"({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,)"
                       R"("prompt_tokens_details":{"cached_tokens":0,"audio_tokens":1},"x":2})"));
}

TEST_CASE("a streamed choice begins with its prompt once", "[actors][completions]") {
  const auto format = completions_format({{"p"}, 2, false});
  CHECK(format->open({"chatcmpl-7", 5, "tiny", {}, {}}).empty());
  const auto text = [&](const msg::chat_chunk& piece) {
    const auto frame = format->chunk(piece);
    return frame.empty() ? json{} : json::parse(frame.substr(6))["choices"][0]["text"];
  };
  CHECK(text({0, {}, R"({"role":"assistant"})", {}, {}}) == "p");
  CHECK(text({1, "x", {}, {}, {}}) == "px");
  CHECK(text({1, "y", {}, {}, {}}) == "y");
  CHECK(text({1, {}, R"({"reasoning_content":"hm"})", {}, {}}).is_null());
  CHECK(text({0, {}, {}, "length", {}}) == "");
  CHECK(format->end({}) == "data: [DONE]\n\n");
}
