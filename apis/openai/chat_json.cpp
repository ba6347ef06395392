#include "apis/openai/chat_json.hpp"

#include "runtime/json/object.hpp"
#include "runtime/json/repair.hpp"
#include "runtime/json/splice.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

using tree = nlohmann::json;

constexpr const char* calls_member = "tool_calls";

std::string text_of(const tree& value) {
  return value.dump(-1, ' ', false, tree::error_handler_t::replace);
}

/// A provider's text as a tree, within the bounds of json::check().
expected<tree> parse_bounded(std::string_view text) {
  if (auto sane = json::check(text); !sane)
    return fail(sane.error());
  auto parsed = tree::parse(text.begin(), text.end(), nullptr, false);
  if (parsed.is_discarded())
    return fail(errc::bad_request, "the parser refuses it");
  return parsed;
}

std::string string_at(const tree& object, const char* key) {
  const auto entry = object.find(key);
  return entry != object.end() && entry->is_string() ? entry->get<std::string>() : std::string{};
}

std::int64_t number_at(const tree& object, const char* key) {
  const auto entry = object.find(key);
  if (entry == object.end() || !entry->is_number())
    return 0;
  if (entry->is_number_float()) {
    const auto value = entry->get<double>();
    return value > -9e15 && value < 9e15 ? static_cast<std::int64_t>(value) : 0;
  }
  return entry->get<std::int64_t>();
}

std::uint64_t count_at(const tree& object, const char* key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_at(object, key)));
}

/// What is left of an object once known members are taken out; empty when nothing is.
std::string rest_of(tree object, std::initializer_list<const char*> known) {
  for (const auto* key : known)
    object.erase(key);
  return object.empty() ? std::string{} : text_of(object);
}

// -- answers --------------------------------------------------------------------------------------

msg::token_usage read_usage(tree more) {
  msg::token_usage usage;
  usage.prompt = count_at(more, "prompt_tokens");
  usage.completion = count_at(more, "completion_tokens");
  if (auto details = more.find("prompt_tokens_details");
      details != more.end() && details->is_object()) {
    usage.cached_prompt = count_at(*details, "cached_tokens");
    details->erase("cached_tokens");
    if (details->empty())
      more.erase(details);
  } else if (details != more.end()) {
    more.erase(details);
  }
  const auto total = count_at(more, "total_tokens");
  // Some say the sum and leave out what was written.
  if (usage.completion == 0 && usage.prompt > 0 && total > usage.prompt
      && (!more.contains("completion_tokens") || more["completion_tokens"].is_null()))
    usage.completion = total - usage.prompt;
  // A sum that is not that of the other two is a detail of its own.
  if (total == 0 || total == usage.prompt + usage.completion)
    more.erase("total_tokens");
  usage.rest = rest_of(std::move(more), {"prompt_tokens", "completion_tokens"});
  return usage;
}

/// The text of a message's or a delta's list of tool calls; empty when there is none.
std::string calls_in(const tree& message) {
  const auto entry = message.find(calls_member);
  return entry != message.end() && entry->is_array() ? text_of(*entry) : std::string{};
}

msg::chat_choice read_choice(tree from) {
  msg::chat_choice choice;
  choice.index = static_cast<std::uint32_t>(count_at(from, "index"));
  choice.finish_reason = string_at(from, "finish_reason");
  const auto message = from.find("message");
  if (message != from.end() && message->is_object()) {
    choice.content = string_at(*message, "content");
    choice.content_null = !message->contains("content") || (*message)["content"].is_null();
    if (auto role = string_at(*message, "role"); !role.empty())
      choice.role = role;
    choice.tool_calls = read_tool_calls(calls_in(*message));
    if (!choice.tool_calls.empty())
      message->erase(calls_member);
    // A content of parts stays among the members.
    const bool parts = message->contains("content") && (*message)["content"].is_array();
    choice.message_rest = rest_of(std::move(*message), {"role", parts ? "role" : "content"});
  }
  choice.rest = rest_of(std::move(from), {"index", "finish_reason", "message"});
  return choice;
}

/// The content stands among the rest when it is a list of parts, or null.
bool has_content(const std::string& rest) {
  if (rest.find("\"content\"") == std::string::npos)
    return false;
  const auto members = json::members_of(rest).value_or(std::vector<json::member>{});
  return std::any_of(members.begin(), members.end(),
                     [](const json::member& each) { return each.name == "content"; });
}

/// A content of parts stands among the further members; text that came beside it is its last part.
std::string content_of(const msg::chat_choice& choice) {
  const auto parts = has_content(choice.message_rest)
                       ? json::elements_of(json::object{choice.message_rest}.at("content"))
                       : std::nullopt;
  if (!parts)
    return choice.content_null ? "null" : json::quoted(choice.content);
  std::vector<std::string> all{parts->begin(), parts->end()};
  if (!choice.content.empty())
    all.push_back(
      json::object_writer{}.raw("type", R"("text")").text("text", choice.content).object());
  return json::array_of(all);
}

/// Appends a list of calls to an object being written. The further members know of one only where
/// it was none that could be read.
void append_calls(std::string& out, const std::vector<msg::tool_call>& calls) {
  if (calls.empty())
    return;
  out.append(",\"").append(calls_member).append("\":");
  append_tool_calls(out, calls);
}

std::string write_choice(const msg::chat_choice& choice) {
  std::string out = "{\"index\":" + std::to_string(choice.index) + ",\"message\":{";
  json::append_member(out, "role", choice.role);
  out += ",\"content\":" + content_of(choice);
  if (choice.tool_calls.empty())
    json::splice_but(out, choice.message_rest, {"role", "content"});
  else
    json::splice_but(out, choice.message_rest, {"role", "content", calls_member});
  append_calls(out, choice.tool_calls);
  out += "},\"finish_reason\":";
  out += choice.finish_reason.empty() ? "null" : json::quoted(choice.finish_reason);
  json::splice_but(out, choice.rest, {"index", "message", "finish_reason"});
  return out + "}";
}

msg::chat_chunk read_delta(tree from, std::map<std::uint32_t, tool_call_reader>& calls) {
  msg::chat_chunk chunk;
  chunk.index = static_cast<std::uint32_t>(count_at(from, "index"));
  chunk.finish_reason = string_at(from, "finish_reason");
  const auto delta = from.find("delta");
  if (delta != from.end() && delta->is_object()) {
    chunk.content = string_at(*delta, "content");
    auto rest = std::move(*delta);
    if (const auto pieces = calls_in(rest); !pieces.empty())
      chunk.tool_calls = calls[chunk.index].read(pieces);
    if (!chunk.tool_calls.empty())
      rest.erase(calls_member);
    // The role stands in our own first delta; an empty text says nothing.
    rest.erase("role");
    if (rest.contains("content") && (rest["content"].is_string() || rest["content"].is_null()))
      rest.erase("content");
    chunk.delta_rest = rest.empty() ? std::string{} : text_of(rest);
  }
  if (from.contains("logprobs") && from["logprobs"].is_null())
    from.erase("logprobs");
  chunk.rest = rest_of(std::move(from), {"index", "finish_reason", "delta"});
  return chunk;
}

/// A value that says something went wrong; some servers write all members there are.
bool is_error(const tree& value) {
  return (value.is_object() || value.is_string()) && !value.empty()
         && !(value.is_string() && value.get_ref<const std::string&>().empty());
}

/// The first choice that failed, which OpenRouter reports under a good status; null when none did.
const tree* failed_choice(const tree& body) {
  const auto choices = body.find("choices");
  if (choices == body.end() || !choices->is_array())
    return nullptr;
  const auto count = std::min<std::size_t>(choices->size(), choices_max);
  const auto end = choices->begin() + static_cast<std::ptrdiff_t>(count);
  const auto failed = std::find_if(choices->begin(), end, [](const tree& choice) {
    return choice.is_object()
           && (string_at(choice, "finish_reason") == "error"
               || (choice.contains("error") && is_error(choice["error"])));
  });
  return failed == end ? nullptr : &*failed;
}

/// A string, or a number as text.
std::string word_at(const tree& object, const char* key) {
  const auto entry = object.find(key);
  if (entry != object.end() && entry->is_number_integer())
    return entry->dump();
  return string_at(object, key);
}

/// FastAPI's place of a fault, ["body","messages",0], as OpenAI's API writes one: messages[0].
std::string place_of(const tree& detail) {
  std::string place;
  const auto steps = detail.find("loc");
  if (steps == detail.end() || !steps->is_array())
    return place;
  for (const auto& step : *steps) {
    if (step.is_number_integer())
      place += '[' + step.dump() + ']';
    else if (step.is_string() && (!place.empty() || step != "body"))
      place += (place.empty() ? "" : ".") + step.get<std::string>();
  }
  return place;
}

/// What a message or a detail says: a text, an object that has one, or a list of those. `param`
/// becomes the first place at fault.
std::string words_in(const tree& said, std::string& param, int levels = 3) {
  if (said.is_string())
    return said.get<std::string>();
  std::string words;
  if (levels == 0)
    return words;
  if (said.is_object()) {
    for (const auto* name : {"message", "msg", "detail"})
      if (words.empty() && said.contains(name))
        words = words_in(said[name], param, levels - 1);
    const auto place = place_of(said);
    if (param.empty())
      param = place;
    return place.empty() || words.empty() ? words : place + ": " + words;
  }
  if (said.is_array())
    for (const auto& each : said)
      if (const auto one = words_in(each, param, levels - 1); !one.empty())
        words += (words.empty() ? "" : "; ") + one;
  return words;
}

bool has_reasons(const tree& error) {
  const auto more = error.find("metadata");
  if (more == error.end() || !more->is_object() || !more->contains("reasons"))
    return false;
  const auto& reasons = (*more)["reasons"];
  return reasons.is_array() && !reasons.empty();
}

provider_error error_of(const tree& body) {
  provider_error read;
  if (body.is_array() && !body.empty())
    return body.front().is_object() ? error_of(body.front()) : read;
  if (!body.is_object())
    return read;
  const auto named = body.find("error");
  const auto& error = named != body.end() && named->is_object() ? *named : body;
  if (named != body.end() && named->is_string()) // Beside a code at xAI.
    read.message = named->get<std::string>();
  for (const auto* name : {"message", "detail", "errors"})
    if (read.message.empty() && error.contains(name))
      read.message = words_in(error[name], read.param);
  read.type = string_at(error, "type");
  read.code = word_at(error, "code");
  if (auto param = string_at(error, "param"); !param.empty())
    read.param = std::move(param);
  read.has_reasons = has_reasons(error);
  return read;
}

/// An error under a good status, also inside of a choice; nothing where there is none.
std::optional<provider_error> error_in(const tree& body) {
  if (body.contains("error") && is_error(body["error"]))
    return error_of(body);
  const auto* const failed = failed_choice(body);
  if (failed == nullptr)
    return std::nullopt;
  auto error = failed->contains("error") ? error_of(*failed) : provider_error{};
  if (error.message.empty())
    error.message = "the provider ended its answer with an error";
  return error;
}

/// The choice's number is one that who puts an answer together may look for one by one.
expected<void> check_index(std::uint32_t index) {
  if (index < choices_max)
    return {};
  return no_answer("the provider's answer has a choice of number " + std::to_string(index) + "; "
                   + std::to_string(choices_max) + " are read");
}

} // namespace

// -- requests -------------------------------------------------------------------------------------

std::string write_chat_request(const msg::chat_request& request, bool stream_usage) {
  std::string out = "{";
  json::append_member(out, "model", request.model);
  out += ",\"messages\":[";
  for (const auto& message : request.messages) {
    if (out.back() != '[')
      out += ',';
    out += '{';
    json::append_member(out, "role", message.role);
    if (!has_content(message.rest)) {
      out += ',';
      json::append_member(out, "content", message.content);
    }
    if (message.tool_calls.empty())
      json::splice(out, message.rest);
    else
      json::splice_but(out, message.rest, {calls_member});
    append_calls(out, message.tool_calls);
    out += '}';
  }
  out += ']';
  json::splice(out, request.parameters);
  if (request.stream)
    out += R"(,"stream":true)";
  if (request.stream && stream_usage)
    out += R"(,"stream_options":{"include_usage":true})";
  return out + "}";
}

// -- whole answers --------------------------------------------------------------------------------

tl::expected<msg::chat_reply, failure> read_chat_reply(std::string_view text) {
  auto read = parse_bounded(text);
  if (!read)
    return no_answer("the provider's answer is no JSON we can read: " + read.error().detail);
  auto& body = *read;
  if (!body.is_object() || !body.contains("choices") || !body["choices"].is_array())
    return no_answer("the provider's answer has no choices");
  if (const auto count = body["choices"].size(); count > choices_max)
    return no_answer("the provider's answer has " + std::to_string(count) + " choices; at most "
                     + std::to_string(choices_max) + " are read");
  if (error_in(body))
    return no_answer("the provider's answer has an error in it");
  msg::chat_reply reply;
  reply.id = string_at(body, "id");
  reply.created = number_at(body, "created");
  reply.model = string_at(body, "model");
  if (auto fits = check_head(reply.id, reply.model); !fits)
    return fail(fits.error());
  for (auto& choice : body["choices"])
    if (choice.is_object())
      reply.choices.push_back(read_choice(std::move(choice)));
  for (const auto& choice : reply.choices)
    if (auto fits = check_index(choice.index); !fits)
      return fail(fits.error());
  if (body.contains("usage") && body["usage"].is_object())
    reply.usage = read_usage(std::move(body["usage"]));
  reply.rest = rest_of(std::move(body), {"id", "object", "created", "model", "choices", "usage"});
  return reply;
}

std::string write_usage(const msg::token_usage& usage) {
  auto object = usage.rest.empty() ? tree::object() : tree::parse(usage.rest, nullptr, false);
  if (!object.is_object())
    object = tree::object();
  object["prompt_tokens"] = usage.prompt;
  object["completion_tokens"] = usage.completion;
  object["total_tokens"] = total_of(usage);
  object["prompt_tokens_details"]["cached_tokens"] = usage.cached_prompt;
  return text_of(object);
}

std::string write_chat_reply(const msg::chat_reply& reply) {
  std::string out = "{";
  json::append_member(out, "id", reply.id);
  out += ",\"object\":\"chat.completion\",\"created\":" + std::to_string(reply.created) + ",";
  json::append_member(out, "model", reply.model);
  out += ",\"choices\":[";
  for (const auto& choice : reply.choices) {
    if (out.back() != '[')
      out += ',';
    out += write_choice(choice);
  }
  out += "],\"usage\":" + write_usage(reply.usage);
  json::splice(out, reply.rest);
  return out + "}";
}

// -- streams --------------------------------------------------------------------------------------

tl::expected<chunk_event, failure> chunk_reader::read(std::string_view text) {
  auto read = parse_bounded(text);
  if (!read)
    return no_answer("an event of the provider's stream is no JSON we can read: "
                     + read.error().detail);
  auto& body = *read;
  if (!body.is_object())
    return no_answer("an event of the provider's stream is no object");
  chunk_event event;
  event.error = error_in(body);
  if (event.error)
    return event;
  event.open.id = string_at(body, "id");
  event.open.created = number_at(body, "created");
  event.open.model = string_at(body, "model");
  if (auto fits = check_head(event.open.id, event.open.model); !fits)
    return fail(fits.error());
  if (body.contains("choices") && body["choices"].is_array())
    for (auto& choice : body["choices"])
      if (choice.is_object())
        event.chunks.push_back(read_delta(std::move(choice), calls_));
  for (const auto& chunk : event.chunks)
    if (auto fits = check_index(chunk.index); !fits)
      return fail(fits.error());
  if (body.contains("usage") && body["usage"].is_object())
    event.usage = read_usage(std::move(body["usage"]));
  event.open.rest
    = rest_of(std::move(body), {"id", "object", "created", "model", "choices", "usage"});
  return event;
}

// -- errors and models ----------------------------------------------------------------------------

provider_error read_error(std::string_view text) {
  const auto body = tree::parse(json::repaired(text), nullptr, false);
  const auto inside = body.is_object() ? error_in(body) : std::nullopt;
  return inside ? *inside : error_of(body);
}

tl::expected<std::vector<msg::model_entry>, failure> read_models(std::string_view text) {
  const auto entries = json::elements_of(json::object{text}.at("data"));
  if (!entries || !json::is_valid(text))
    return no_answer("the provider's list of models has no data");
  std::vector<msg::model_entry> models;
  for (const auto raw : *entries)
    if (const json::object entry{raw}; !entry.text("id").empty())
      models.push_back({entry.text("id"), static_cast<std::int64_t>(entry.count("created")),
                        entry.text("owned_by"),
                        json::object_without(raw, {"id", "object", "created", "owned_by"})});
  return models;
}

std::string write_model(const msg::model_entry& model) {
  std::string out = "{";
  json::append_member(out, "id", model.id);
  out += ",\"object\":\"model\",\"created\":" + std::to_string(model.created) + ",";
  json::append_member(out, "owned_by", model.owned_by);
  json::splice_but(out, model.rest, {"id", "object", "created", "owned_by"});
  return out + "}";
}

} // namespace skep::actors
