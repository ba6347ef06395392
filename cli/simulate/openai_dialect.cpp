#include "cli/simulate/dialects.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli::simulate::openai {

namespace {

using json = nlohmann::ordered_json;

/// Simulated models were all made at the same moment.
constexpr std::int64_t created = 1'700'000'000;
// Arguments come in pieces of this size, as they do from real models.
constexpr std::size_t arguments_piece_bytes = 8;

std::string joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const auto& token : tokens)
    text += token;
  return text;
}

const char* finish_of(const model_answer& answer) {
  switch (answer.end) {
    case ending::length: return "length";
    case ending::tool: return "tool_calls";
    case ending::stop:
    case ending::stop_sequence: break;
  }
  return "stop";
}

json usage_of(const model_answer& answer) {
  return {{"prompt_tokens", answer.tokens_in},
          {"completion_tokens", answer.tokens_out},
          {"total_tokens", answer.tokens_in + answer.tokens_out},
          {"prompt_tokens_details", {{"cached_tokens", 0}}},
          {"completion_tokens_details", {{"reasoning_tokens", answer.thinking.size()}}}};
}

json head(const model_answer& answer, const char* object) {
  return {{"id", id_of(dialect::openai, answer.number)},
          {"object", object},
          {"created", created},
          {"model", answer.model},
          {"system_fingerprint", "fp_simulated"}};
}

std::string call_id(const model_answer& answer) {
  return "call_simulated_" + std::to_string(answer.number);
}

/// Frames of one answer.
class event_writer {
public:
  event_writer(const model_call& call, const model_answer& answer)
    : head_(head(answer, "chat.completion.chunk")), include_usage_(call.include_usage) {}

  void delta(json delta, const char* finish = nullptr) {
    auto chunk = head_;
    chunk["choices"]
      = json::array({{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", nullptr}}});
    if (finish != nullptr)
      chunk["choices"][0]["finish_reason"] = finish;
    if (include_usage_)
      chunk["usage"] = nullptr;
    push(chunk.dump());
  }
  void token(json delta_with_it) {
    delta(std::move(delta_with_it));
    ++tokens_;
  }
  std::vector<piece> finish(const model_answer& answer) {
    if (include_usage_) {
      auto chunk = head_;
      chunk["choices"] = json::array();
      chunk["usage"] = usage_of(answer);
      push(chunk.dump());
    }
    push("[DONE]");
    return std::move(pieces_);
  }

private:
  void push(const std::string& data) {
    pieces_.push_back({"data: " + data + "\n\n", tokens_});
  }

  json head_;
  bool include_usage_;
  std::uint64_t tokens_ = 0;
  std::vector<piece> pieces_;
};

void write_tool(event_writer& out, const model_answer& answer) {
  out.delta({{"tool_calls",
              {{{"index", 0},
                {"id", call_id(answer)},
                {"type", "function"},
                {"function", {{"name", answer.tool->name}, {"arguments", ""}}}}}}});
  const auto& arguments = answer.tool->arguments;
  for (std::size_t at = 0; at < arguments.size(); at += arguments_piece_bytes)
    out.token({{"tool_calls",
                {{{"index", 0},
                  {"function", {{"arguments", arguments.substr(at, arguments_piece_bytes)}}}}}}});
}

json model_of(const std::string& name) {
  return {{"id", name}, {"object", "model"}, {"created", created}, {"owned_by", "simulated"}};
}

} // namespace

std::string whole(const model_answer& answer) {
  json message{{"role", "assistant"}, {"content", joined(answer.tokens)}, {"refusal", nullptr}};
  if (!answer.thinking.empty())
    message["reasoning_content"] = joined(answer.thinking);
  if (answer.tool) {
    message["content"] = nullptr;
    message["tool_calls"]
      = {{{"id", call_id(answer)},
          {"type", "function"},
          {"function", {{"name", answer.tool->name}, {"arguments", answer.tool->arguments}}}}};
  }
  auto body = head(answer, "chat.completion");
  body["choices"] = json::array({{{"index", 0},
                                  {"message", std::move(message)},
                                  {"logprobs", nullptr},
                                  {"finish_reason", finish_of(answer)}}});
  body["usage"] = usage_of(answer);
  return body.dump();
}

std::vector<piece> events(const model_call& call, const model_answer& answer) {
  event_writer out{call, answer};
  out.delta({{"role", "assistant"}, {"content", ""}});
  for (const auto& token : answer.thinking)
    out.token({{"reasoning_content", token}});
  for (const auto& token : answer.tokens)
    out.token({{"content", token}});
  if (answer.tool)
    write_tool(out, answer);
  out.delta(json::object(), finish_of(answer));
  return out.finish(answer);
}

std::string error(const error_text& why) {
  json body{{"message", why.message}, {"type", why.type}, {"param", nullptr}, {"code", nullptr}};
  if (!why.param.empty())
    body["param"] = why.param;
  if (!why.code.empty())
    body["code"] = why.code;
  return json{{"error", std::move(body)}}.dump();
}

std::string models(const std::vector<std::string>& names, const std::string& only) {
  if (!only.empty())
    return model_of(only).dump();
  auto all = json::array();
  for (const auto& name : names)
    all.push_back(model_of(name));
  return json{{"object", "list"}, {"data", std::move(all)}}.dump();
}

} // namespace skep::cli::simulate::openai
