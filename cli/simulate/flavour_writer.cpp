#include "cli/simulate/flavour.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace skep::cli::simulate {

namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view data_mark = "data: ";

/// Members that are not there yet.
void add(json& into, std::string_view members) {
  const auto all = json::parse(members);
  for (const auto& [name, value] : all.items())
    if (!into.contains(name))
      into[name] = value;
}

std::string text_of(const flavour& kind, const json& value) {
  return kind.sorted ? nlohmann::json(value).dump() : value.dump();
}

json thinking_parts(const json& text) {
  return json::array({{{"type", "thinking"}, {"thinking", {{{"type", "text"}, {"text", text}}}}}});
}

/// The thought of a message or a delta by this kind's name.
void name_thought(const flavour& kind, json& said) {
  const auto thought = said.find("reasoning_content");
  if (thought == said.end() || kind.reasoning == "reasoning_content")
    return;
  auto text = *thought;
  said.erase("reasoning_content");
  if (kind.reasoning != "content") {
    said[std::string{kind.reasoning}] = std::move(text);
    return;
  }
  auto parts = thinking_parts(text);
  if (said.contains("content") && said["content"].is_string())
    parts.push_back({{"type", "text"}, {"text", said["content"]}});
  said["content"] = std::move(parts);
}

void name_calls(const flavour& kind, json& said, const model_answer& answer) {
  if (!said.contains("tool_calls"))
    return;
  for (auto& call : said["tool_calls"]) {
    if (!kind.indexed_calls)
      call.erase("index");
    if (!call.contains("id"))
      continue;
    call["id"] = std::string{kind.call_id} + std::to_string(answer.number);
    add(call, kind.call);
  }
}

/// What whole answers and chunks have in common.
void dress(const flavour& kind, json& body, const model_answer& answer) {
  body["id"] = std::string{kind.id} + std::to_string(answer.number);
  if (!kind.has_fingerprint)
    body.erase("system_fingerprint");
  add(body, kind.top);
  if (body.contains("usage") && body["usage"].is_object())
    add(body["usage"], kind.usage);
  for (auto& choice : body["choices"]) {
    auto& said = choice[choice.contains("message") ? "message" : "delta"];
    name_thought(kind, said);
    name_calls(kind, said, answer);
    add(choice, kind.choice);
    if (!choice["finish_reason"].is_null())
      add(choice, kind.ended);
  }
}

std::string dressed_whole(const flavour& kind, const std::string& text,
                          const model_answer& answer) {
  auto body = json::parse(text);
  dress(kind, body, answer);
  add(body, kind.whole);
  add(body["choices"][0]["message"], kind.message);
  return text_of(kind, body);
}

// -- streams of the openai dialect ----------------------------------------------------------------

/// A chunk that is being dressed, and the tokens said with it.
struct chunk {
  json body;
  std::uint64_t tokens = 0;

  bool has_choice() const {
    return !body["choices"].empty();
  }
  json& choice() {
    return body["choices"][0];
  }
  bool ends() {
    return has_choice() && !choice()["finish_reason"].is_null();
  }
};

std::vector<chunk> chunks_of(const std::vector<piece>& pieces) {
  std::vector<chunk> chunks;
  for (const auto& each : pieces)
    if (auto body = json::parse(each.bytes.substr(data_mark.size()), nullptr, false);
        body.is_object())
      chunks.push_back({std::move(body), each.tokens});
  return chunks;
}

/// The pieces of a call become one, where the last of them was.
void join_calls(std::vector<chunk>& chunks) {
  std::vector<chunk> joined;
  bool calls = false;
  for (auto& each : chunks) {
    const bool more = each.has_choice() && each.choice()["delta"].contains("tool_calls");
    if (!more || !std::exchange(calls, true)) {
      joined.push_back(std::move(each));
      continue;
    }
    auto& first = joined.back();
    const auto& piece = each.choice()["delta"]["tool_calls"][0]["function"]["arguments"];
    auto& arguments = first.choice()["delta"]["tool_calls"][0]["function"]["arguments"];
    arguments = arguments.get<std::string>() + piece.get<std::string>();
    first.tokens = each.tokens;
  }
  chunks = std::move(joined);
}

/// The stream has usage in a chunk of its own at its end.
void place_usage(usage_place where, std::vector<chunk>& chunks) {
  if (where == usage_place::asked)
    return;
  const auto usage = chunks.back().body["usage"];
  for (auto& each : chunks)
    if (where == usage_place::every || (where == usage_place::last && each.ends()))
      each.body["usage"] = usage;
    else if (each.has_choice())
      each.body.erase("usage");
  if (where == usage_place::again)
    chunks.back().body["choices"] = chunks[chunks.size() - 2].body["choices"];
  else
    chunks.pop_back();
}

std::vector<piece> dressed_stream(const flavour& kind, const std::vector<piece>& pieces,
                                  const model_answer& answer) {
  auto chunks = chunks_of(pieces);
  if (kind.whole_calls)
    join_calls(chunks);
  place_usage(kind.usage_at, chunks);
  std::vector<piece> dressed;
  if (!kind.before.empty())
    dressed.push_back({std::string{kind.before}, 0});
  add(chunks.front().choice()["delta"], kind.first);
  for (auto& each : chunks) {
    dress(kind, each.body, answer);
    if (each.has_choice())
      add(each.choice()["delta"], kind.delta);
    dressed.push_back({std::string{data_mark} + text_of(kind, each.body) + "\n\n", each.tokens});
  }
  dressed.push_back(pieces.back()); // [DONE]
  return dressed;
}

// -- the anthropic dialect ------------------------------------------------------------------------

void dress_message(const flavour& kind, json& message) {
  add(message, kind.top);
  add(message["usage"], kind.usage);
  for (auto& block : message["content"])
    if (block["type"] == "tool_use")
      add(block, kind.call);
}

void dress_event(const flavour& kind, json& event, const model_answer& answer) {
  if (event["type"] == "message_start")
    dress_message(kind, event["message"]);
  if (event["type"] == "content_block_start" && event["content_block"]["type"] == "tool_use")
    add(event["content_block"], kind.call);
  if (event["type"] != "message_delta")
    return;
  add(event["delta"], kind.top);
  event["usage"] = {{"input_tokens", answer.tokens_in},
                    {"cache_creation_input_tokens", 0},
                    {"cache_read_input_tokens", 0},
                    {"output_tokens", answer.tokens_out}};
}

std::string dressed_frame(const flavour& kind, const std::string& frame,
                          const model_answer& answer) {
  const auto at = frame.find(data_mark) + data_mark.size();
  auto event = json::parse(frame.substr(at));
  dress_event(kind, event, answer);
  return frame.substr(0, at) + event.dump() + (kind.padded ? "      \n\n" : "\n\n");
}

// -- errors ---------------------------------------------------------------------------------------

/// Fills the places of a template.
void fill(json& value, const json& error, int status) {
  if (value.is_structured()) {
    for (auto& each : value)
      fill(each, error, status);
    return;
  }
  if (!value.is_string() || !value.get_ref<const std::string&>().starts_with('$'))
    return;
  const auto name = value.get<std::string>().substr(1);
  value = name == "status" ? json(status) : error.value(name, json(nullptr));
}

} // namespace

model_call asked_in(const flavour& kind, model_call call) {
  call.include_usage = call.include_usage || kind.usage_at != usage_place::asked;
  return call;
}

script answered_in(const flavour& kind, dialect spoken, script good, const model_answer& answer) {
  if (kind.strict || kind.spoken != spoken)
    return good;
  if (spoken == dialect::openai) {
    if (good.streamed)
      good.pieces = dressed_stream(kind, good.pieces, answer);
    else
      good.pieces.front().bytes = dressed_whole(kind, good.pieces.front().bytes, answer);
    return good;
  }
  for (auto& each : good.pieces)
    if (good.streamed) {
      each.bytes = dressed_frame(kind, each.bytes, answer);
    } else {
      auto body = json::parse(each.bytes);
      dress_message(kind, body);
      each.bytes = body.dump();
    }
  return good;
}

script failed_in(const flavour& kind, dialect spoken, script made) {
  if (kind.error.empty() || kind.spoken != spoken || made.status < 400 || made.pieces.empty())
    return made;
  const auto body = json::parse(made.pieces.front().bytes, nullptr, false);
  if (!body.is_object() || !body.contains("error")) // A proxy's page.
    return made;
  auto worded = json::parse(kind.error);
  fill(worded, body["error"], made.status);
  made.pieces.front().bytes = worded.dump();
  return made;
}

} // namespace skep::cli::simulate
