#include "apis/openai/native_response.hpp"

#include "apis/chat/native.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/responses_play.hpp"
#include "runtime/json/object.hpp"

#include <vector>

namespace skep::actors {

namespace {

using elements = std::vector<std::string_view>;

std::string texts_of(std::string_view list) {
  std::string all;
  for (const auto part : json::elements_of(list).value_or(elements{}))
    all += json::object{part}.text("text");
  return all;
}

msg::token_usage usage_of(std::string_view raw) {
  const json::object given{raw};
  msg::token_usage usage;
  usage.prompt = given.count("input_tokens");
  usage.completion = given.count("output_tokens");
  usage.cached_prompt = json::object{given.at("input_tokens_details")}.count("cached_tokens");
  json::object_writer rest;
  rest.raw("completion_tokens_details", given.at("output_tokens_details"));
  usage.rest = rest.raw("total_tokens", given.at("total_tokens")).object_or_nothing();
  return usage;
}

/// How a response ended, in chat completions' word; empty when it has not.
std::string finish_of(const json::object& response, bool called) {
  const auto status = response.text("status");
  if (status == "incomplete")
    return json::object{response.at("incomplete_details")}.text("reason") == "content_filter"
             ? "content_filter"
             : "length";
  if (status != "completed")
    return {};
  return called ? "tool_calls" : "stop";
}

provider_error error_of(const json::object& from) {
  provider_error error;
  error.message = from.text("message");
  error.type = from.text("type");
  error.code = from.text("code");
  error.param = from.text("param");
  if (error.message.empty())
    error.message = "the provider's response failed";
  return error;
}

/// Of an event: some nest what is wrong, some say it flat.
provider_error error_in(const json::object& event) {
  const auto nested = event.at("error");
  return error_of(nested.starts_with('{') ? json::object{nested} : event);
}

bool is_call(std::string_view type) {
  return type == "function_call" || type == "custom_tool_call";
}

msg::tool_call call_from(const json::object& item, std::uint32_t index) {
  msg::tool_call call;
  call.index = index;
  call.id = item.text("call_id");
  call.type = item.text("type") == "custom_tool_call" ? "custom" : "function";
  call.name = item.text("name");
  call.arguments = item.text(call.type == "custom" ? "input" : "arguments");
  return call;
}

/// The items of a response as one message.
class message_of_items {
public:
  void add(std::string_view raw) {
    const json::object item{raw};
    const auto type = item.text("type");
    if (type == "message")
      say(item);
    else if (type == "reasoning")
      reasoning_ += texts_of(item.at(item.at("summary") == "[]" ? "content" : "summary"));
    else if (is_call(type))
      made_.tool_calls.push_back(
        call_from(item, static_cast<std::uint32_t>(made_.tool_calls.size())));
  }
  msg::chat_choice take(const json::object& response) {
    json::object_writer rest;
    if (!refusal_.empty())
      rest.text("refusal", refusal_);
    if (!reasoning_.empty())
      rest.text("reasoning_content", reasoning_);
    made_.message_rest = rest.object_or_nothing();
    made_.content_null = made_.content.empty() && !made_.tool_calls.empty();
    made_.finish_reason = finish_of(response, !made_.tool_calls.empty());
    return std::move(made_);
  }

private:
  void say(const json::object& item) {
    for (const auto raw : json::elements_of(item.at("content")).value_or(elements{})) {
      const json::object part{raw};
      made_.content += part.text("text");
      refusal_ += part.text("refusal");
    }
  }

  msg::chat_choice made_;
  std::string refusal_;
  std::string reasoning_;
};

msg::chat_choice message_in(const json::object& response) {
  message_of_items message;
  for (const auto item : json::elements_of(response.at("output")).value_or(elements{}))
    message.add(item);
  return message.take(response);
}

bool has_failed(const json::object& response) {
  const auto status = response.text("status");
  return status == "failed" || status == "cancelled";
}

msg::chat_open head_of(const json::object& response) {
  msg::chat_open head;
  head.id = response.text("id");
  head.created = static_cast<std::int64_t>(response.count("created_at"));
  head.model = response.text("model");
  json::object_writer rest;
  head.rest = rest.raw("service_tier", response.at("service_tier")).object_or_nothing();
  return head;
}

} // namespace

tl::expected<msg::chat_reply, failure> read_response(std::string_view text) {
  const json::object response{text};
  if (response.text("id").empty() || !response.at("output").starts_with('[')
      || !json::is_valid(text))
    return no_answer("the provider's answer is no response");
  if (has_failed(response))
    return no_answer(error_of(json::object{response.at("error")}).message);
  auto head = head_of(response);
  if (auto named = check_head(head.id, head.model); !named)
    return tl::make_unexpected(named.error());
  msg::chat_reply reply;
  reply.id = std::move(head.id);
  reply.created = head.created;
  reply.model = std::move(head.model);
  reply.rest = std::move(head.rest);
  reply.usage = usage_of(response.at("usage"));
  reply.choices.push_back(message_in(response));
  return reply;
}

// -- events ---------------------------------------------------------------------------------------

struct response_reader::event {
  explicit event(std::string_view text) : members(text), type(members.text("type")) {}

  bool is(std::string_view name) const {
    return type == name;
  }
  std::string delta() const {
    return members.text("delta");
  }

  const json::object members;
  const std::string type;
};

namespace {

void add_member(chunk_event& into, const char* name, const std::string& text) {
  if (text.empty())
    return;
  json::object_writer rest;
  into.chunks.emplace_back().delta_rest = rest.text(name, text).object();
}

/// The events that only say that there is a response.
bool is_preamble(std::string_view type) {
  return type == "response.created" || type == "response.queued" || type == "response.in_progress";
}

bool is_end(std::string_view type) {
  return type == "response.completed" || type == "response.incomplete" || type == "response.failed"
         || type == "response.cancelled";
}

} // namespace

tl::expected<chunk_event, failure> response_reader::read(std::string_view text) {
  const event e{text};
  if (!text.starts_with('{') || !json::is_valid(text))
    return no_answer("an event of the provider's response is none of the API's");
  chunk_event made;
  if (e.type.empty()) {
    if (e.members.at("error").starts_with('{') || e.members.has("message"))
      made.error = error_in(e.members);
    return made; // Else it says nothing that we know.
  }
  made.begins = !is_preamble(e.type) && e.type.starts_with("response.") && !is_end(e.type);
  if (is_preamble(e.type)) {
    made.open = head_of(json::object{e.members.at("response")});
    if (auto named = check_head(made.open.id, made.open.model); !named)
      return tl::make_unexpected(named.error());
  } else if (is_end(e.type)) {
    ended(e, made);
  } else if (e.is("error")) {
    made.error = error_in(e.members);
  } else if (e.is("response.output_text.delta")) {
    spoke_ = true;
    auto& piece = made.chunks.emplace_back();
    piece.content = e.delta();
    if (const auto tokens = e.members.at("logprobs"); tokens.size() > 2)
      piece.rest = R"({"logprobs":{"content":)" + std::string{tokens} + "}}";
  } else if (e.is("response.refusal.delta")) {
    add_member(made, "refusal", e.delta());
  } else if (e.is("response.reasoning_summary_text.delta")
             || e.is("response.reasoning_text.delta")) {
    add_member(made, "reasoning_content", e.delta());
  } else if (e.is("response.output_item.added") || e.is("response.output_item.done")) {
    added(e, made);
  } else if (e.is("response.function_call_arguments.delta")
             || e.is("response.custom_tool_call_input.delta")) {
    argued(e, made);
  }
  return made;
}

response_reader::call_mark& response_reader::call_of(const event& e) {
  const auto number = static_cast<std::uint32_t>(calls_.size());
  return calls_.try_emplace(std::string{e.members.at("output_index")}, call_mark{number, false})
    .first->second;
}

/// A call is told when it begins; its arguments then too, or in pieces, or when it is done.
void response_reader::added(const event& e, chunk_event& into) {
  const json::object item{e.members.at("item")};
  if (!is_call(item.text("type")))
    return;
  const bool known = calls_.contains(std::string{e.members.at("output_index")});
  if (!known && calls_.size() == choices_max)
    return;
  auto& mark = call_of(e);
  auto call = call_from(item, mark.index);
  if (mark.has_arguments || (known && call.arguments.empty()))
    return;
  if (known)
    call.id = call.name = call.type = {};
  mark.has_arguments = !call.arguments.empty();
  into.chunks.emplace_back().tool_calls.push_back(std::move(call));
}

void response_reader::argued(const event& e, chunk_event& into) {
  const auto known = calls_.find(std::string{e.members.at("output_index")});
  if (known == calls_.end() || e.delta().empty())
    return;
  known->second.has_arguments = true;
  msg::tool_call piece;
  piece.index = known->second.index;
  piece.arguments = e.delta();
  into.chunks.emplace_back().tool_calls.push_back(std::move(piece));
}

/// Text that came in no pieces is in the whole response.
void response_reader::ended(const event& e, chunk_event& into) {
  const json::object response{e.members.at("response")};
  if (has_failed(response) || e.is("response.failed")) {
    into.error = error_of(json::object{response.at("error")});
    return;
  }
  if (response.text("id").empty()) {
    into.error = provider_error{"the provider's response ended without saying which it is", {}, {}};
    return;
  }
  into.open = head_of(response);
  into.usage = usage_of(response.at("usage"));
  into.last = true;
  auto whole = message_in(response);
  auto& piece = into.chunks.emplace_back();
  if (!spoke_)
    piece.content = std::move(whole.content);
  const bool natural = whole.finish_reason.empty() || whole.finish_reason == "stop";
  if (!natural)
    piece.finish_reason = std::move(whole.finish_reason);
  else
    piece.finish_reason = calls_.empty() ? "stop" : "tool_calls";
}

// -- passing on -----------------------------------------------------------------------------------

std::string with_names(std::string_view response, const response_names& names) {
  auto named = with_id(response, names.id);
  if (names.previous.empty() || !json::object{named}.has("previous_response_id"))
    return named;
  return json::object_with(named, "previous_response_id", json::quoted(names.previous));
}

std::string_view response_in(std::string_view native_text) {
  if (native_text.starts_with('{'))
    return native_text;
  std::string_view last;
  for (native_frames each{native_text}; each.next();)
    if (const json::object event{each.data()}; is_end(event.text("type")))
      last = event.at("response");
  return last;
}

std::string response_frames(std::string_view native_text, const response_names& names) {
  constexpr std::string_view member = "\"response\"";
  if (native_text.starts_with('{'))
    return play_response(with_names(native_text, names));
  std::string out;
  for (native_frames each{native_text}; each.next();) {
    const auto whole = each.data().find(member) == std::string_view::npos
                         ? std::string_view{}
                         : json::object{each.data()}.at("response");
    if (whole.starts_with('{'))
      out += native_frame(each.event(),
                          json::object_with(each.data(), "response", with_names(whole, names)));
    else
      out += each.frame();
  }
  return out;
}

} // namespace skep::actors
