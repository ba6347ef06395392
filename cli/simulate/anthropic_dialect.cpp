#include "cli/simulate/dialects.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli::simulate::anthropic {

namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t input_piece_bytes = 8;
/// What signs simulated thoughts; a real one is base64, too.
constexpr const char* signature = "c2ltdWxhdGVk";

std::string joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const auto& token : tokens)
    text += token;
  return text;
}

const char* stop_reason_of(const model_answer& answer) {
  switch (answer.end) {
    case ending::length: return "max_tokens";
    case ending::tool: return "tool_use";
    case ending::stop_sequence: return "stop_sequence";
    case ending::stop: break;
  }
  return "end_turn";
}

json stop_sequence_of(const model_answer& answer) {
  return answer.end == ending::stop_sequence ? json(answer.stopped_by) : json(nullptr);
}

json usage_of(const model_answer& answer, std::uint64_t output_tokens) {
  return {{"input_tokens", answer.tokens_in},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", 0},
          {"output_tokens", output_tokens}};
}

json message_of(const model_answer& answer) {
  return {{"id", id_of(dialect::anthropic, answer.number)},
          {"type", "message"},
          {"role", "assistant"},
          {"model", answer.model},
          {"content", json::array()},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr}};
}

json tool_block(const model_answer& answer, json input) {
  return {{"type", "tool_use"},
          {"id", "toolu_simulated_" + std::to_string(answer.number)},
          {"name", answer.tool->name},
          {"input", std::move(input)}};
}

/// Frames of one message.
class event_writer {
public:
  void event(const char* type, json data) {
    json whole{{"type", type}};
    whole.update(data);
    pieces_.push_back(
      {std::string{"event: "} + type + "\ndata: " + whole.dump() + "\n\n", tokens_});
  }
  void begin_block(json block) {
    event("content_block_start", {{"index", block_}, {"content_block", std::move(block)}});
  }
  void delta(json delta) {
    event("content_block_delta", {{"index", block_}, {"delta", std::move(delta)}});
  }
  void token(json delta_with_it) {
    delta(std::move(delta_with_it));
    ++tokens_;
  }
  void end_block() {
    event("content_block_stop", {{"index", block_++}});
  }
  std::vector<piece> take() {
    return std::move(pieces_);
  }

private:
  int block_ = 0;
  std::uint64_t tokens_ = 0;
  std::vector<piece> pieces_;
};

void write_thinking(event_writer& out, const model_answer& answer) {
  out.begin_block({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
  for (const auto& token : answer.thinking)
    out.token({{"type", "thinking_delta"}, {"thinking", token}});
  out.delta({{"type", "signature_delta"}, {"signature", signature}});
  out.end_block();
}

void write_text(event_writer& out, const model_answer& answer) {
  out.begin_block({{"type", "text"}, {"text", ""}});
  out.event("ping", json::object());
  for (const auto& token : answer.tokens)
    out.token({{"type", "text_delta"}, {"text", token}});
  out.end_block();
}

void write_tool(event_writer& out, const model_answer& answer) {
  out.begin_block(tool_block(answer, json::object()));
  out.delta({{"type", "input_json_delta"}, {"partial_json", ""}});
  const auto& input = answer.tool->arguments;
  for (std::size_t at = 0; at < input.size(); at += input_piece_bytes)
    out.token(
      {{"type", "input_json_delta"}, {"partial_json", input.substr(at, input_piece_bytes)}});
  out.end_block();
}

json model_of(const std::string& name) {
  return {{"type", "model"},
          {"id", name},
          {"display_name", "Simulated " + name},
          {"created_at", "2023-11-14T22:13:20Z"}};
}

} // namespace

std::string whole(const model_answer& answer) {
  auto body = message_of(answer);
  auto& content = body["content"];
  if (!answer.thinking.empty())
    content.push_back(
      {{"type", "thinking"}, {"thinking", joined(answer.thinking)}, {"signature", signature}});
  if (!answer.tokens.empty())
    content.push_back({{"type", "text"}, {"text", joined(answer.tokens)}});
  if (answer.tool)
    content.push_back(tool_block(answer, json::parse(answer.tool->arguments)));
  body["stop_reason"] = stop_reason_of(answer);
  body["stop_sequence"] = stop_sequence_of(answer);
  body["usage"] = usage_of(answer, answer.tokens_out);
  return body.dump();
}

std::vector<piece> events(const model_answer& answer) {
  event_writer out;
  auto opening = message_of(answer);
  opening["usage"] = usage_of(answer, 1);
  out.event("message_start", {{"message", std::move(opening)}});
  if (!answer.thinking.empty())
    write_thinking(out, answer);
  if (!answer.tokens.empty())
    write_text(out, answer);
  if (answer.tool)
    write_tool(out, answer);
  out.event("message_delta", {{"delta",
                               {{"stop_reason", stop_reason_of(answer)},
                                {"stop_sequence", stop_sequence_of(answer)}}},
                              {"usage", {{"output_tokens", answer.tokens_out}}}});
  out.event("message_stop", json::object());
  return out.take();
}

std::string error(const error_text& why) {
  return json{{"type", "error"},
              {"error", {{"type", why.type}, {"message", why.message}}},
              {"request_id", "req_simulated"}}
    .dump();
}

std::string models(const std::vector<std::string>& names, const std::string& only) {
  if (!only.empty())
    return model_of(only).dump();
  auto all = json::array();
  for (const auto& name : names)
    all.push_back(model_of(name));
  const json first = names.empty() ? json(nullptr) : json(names.front());
  const json last = names.empty() ? json(nullptr) : json(names.back());
  return json{{"data", std::move(all)}, {"has_more", false}, {"first_id", first}, {"last_id", last}}
    .dump();
}

} // namespace skep::cli::simulate::anthropic
