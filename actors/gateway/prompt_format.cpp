#include "actors/gateway/prompt_format.hpp"

#include "apis/chat/plain_words.hpp"
#include "apis/chat/request_body.hpp"
#include "apis/chat/sse_frame.hpp"
#include "apis/openai/error_body.hpp"
#include "runtime/json/object.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

using tree = nlohmann::json;

/// Members that are ours, not the chat's.
constexpr std::array own_members{"message", "agent", "model", "session_id", "stream"};

/// The same request as the body of a chat completion, so that both endpoints read alike.
std::string chat_body_of(const json::object& read) {
  std::string chat = R"({"model":"-","messages":[{"role":"user","content":)";
  chat.append(read.at("message")).append("}]");
  if (read.at("stream") == "true")
    chat += R"(,"stream":true)";
  for (const auto& member : read.members())
    if (std::find(own_members.begin(), own_members.end(), member.name) == own_members.end())
      chat.append(",").append(json::quoted(member.name)).append(":").append(member.value);
  return chat + "}";
}

/// Also one that is null.
bool has_member(const json::object& read, std::string_view name) {
  return std::any_of(read.members().begin(), read.members().end(),
                     [name](const json::member& each) { return each.name == name; });
}

/// A member that is a text; empty when it is missing or null.
tl::expected<std::string, api_error> text_at(const json::object& read, const char* name) {
  auto text = read.text(name);
  if (read.has(name) && text.empty())
    return bad_request(std::string{name} + " must be a text that is not empty", name);
  return text;
}

tree usage_json(const msg::token_usage& usage) {
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.completion},
          {"total_tokens", total_of(usage)},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_prompt}}}};
}

/// No call of its own to a provider was needed.
bool is_cached(const msg::answer_origin& origin) {
  switch (static_cast<msg::cache_status>(origin.cache)) {
    case msg::cache_status::hit:
    case msg::cache_status::stale:
    case msg::cache_status::semantic: return true;
    default: return false;
  }
}

class prompt_writer final : public answer_format {
public:
  explicit prompt_writer(prompt_answer about) : about_(std::move(about)) {}

  std::string whole(const msg::chat_reply& reply) override {
    model_ = reply.model;
    cached_ = is_cached(reply.origin);
    std::string text;
    if (!reply.choices.empty()) {
      const auto plain = in_plain_words(reply.choices.front());
      const auto& choice = plain ? *plain : reply.choices.front();
      text = choice.content;
      finish_reason_ = choice.finish_reason;
    }
    auto made = facts(reply.usage);
    made["response"] = std::move(text);
    return made.dump(-1, ' ', false, tree::error_handler_t::replace);
  }

  std::string open(const msg::chat_open& begin) override {
    model_ = begin.model;
    cached_ = is_cached(begin.origin);
    return {};
  }

  std::string chunk(const msg::chat_chunk& given) override {
    const auto plain = in_plain_words(given);
    const auto& piece = plain ? *plain : given;
    if (piece.index != 0)
      return {};
    if (!piece.finish_reason.empty())
      finish_reason_ = piece.finish_reason;
    if (piece.content.empty())
      return {};
    return data_frame("{\"delta\":" + json::quoted(piece.content) + "}");
  }

  std::string end(const msg::token_usage& usage) override {
    auto made = facts(usage);
    made["done"] = true;
    return data_frame(made.dump(-1, ' ', false, tree::error_handler_t::replace))
           + "data: [DONE]\n\n";
  }

  std::string failed(const failure& why, std::string_view param) override {
    return data_frame(error_body(why, param));
  }

private:
  tree facts(const msg::token_usage& usage) const {
    return {{"agent", about_.agent.empty() ? tree(nullptr) : tree(about_.agent)},
            {"model", model_},
            {"finish_reason", finish_reason_.empty() ? tree(nullptr) : tree(finish_reason_)},
            {"usage", usage_json(usage)},
            {"request_id", about_.request_id},
            {"cached", cached_},
            {"processing_ms", about_.age_ms()}};
  }

  const prompt_answer about_;
  std::string model_;
  std::string finish_reason_;
  bool cached_ = false;
};

} // namespace

tl::expected<prompt_body, api_error> read_prompt_body(std::string_view body) {
  if (auto sane = check_body(body); !sane)
    return tl::make_unexpected(sane.error());
  const json::object read{body};
  if (!json::members_of(body))
    return bad_request(R"(the body must be a JSON object: {"message": "..."})");
  if (read.text("message").empty())
    return bad_request("message must be a text that is not empty", "message");
  if (has_member(read, "messages"))
    return bad_request("a prompt is one message; conversations go to /v1/chat/completions",
                       "messages");
  if (has_member(read, "stream") && read.at("stream") != "true" && read.at("stream") != "false")
    return bad_request("stream must be true or false", "stream");
  const auto agent = text_at(read, "agent");
  const auto model = text_at(read, "model");
  const auto session = text_at(read, "session_id");
  for (const auto* each : {&agent, &model, &session})
    if (!*each)
      return tl::make_unexpected(each->error());
  if (!agent->empty() && !model->empty() && *agent != *model)
    return bad_request("agent and model do not go together: name one of them", "model");
  auto chat = read_chat_body(chat_body_of(read));
  if (!chat)
    return tl::make_unexpected(chat.error());
  prompt_body made;
  made.model = agent->empty() ? *model : *agent;
  made.named_by = agent->empty() && !model->empty() ? "model" : "agent";
  made.session_id = *session;
  made.request = std::move(chat->request);
  return made;
}

std::unique_ptr<answer_format> prompt_format(prompt_answer about) {
  return std::make_unique<prompt_writer>(std::move(about));
}

} // namespace skep::actors
