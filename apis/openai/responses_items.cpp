// Items of the Responses API as messages of a conversation.
#include "apis/chat/request_body.hpp"
#include "apis/chat/tool_calls.hpp"
#include "apis/openai/responses_json.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

void add_others(json::object_writer& into, const json::object& from,
                std::initializer_list<std::string_view> known) {
  for (const auto& member : from.members())
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      into.raw(member.name, member.value);
}

// -- content --------------------------------------------------------------------------------------

bool is_text(std::string_view type) {
  return type == "input_text" || type == "output_text" || type == "text";
}

std::string text_part(const json::object& part) {
  json::object_writer made;
  made.text("type", "text").raw("text", part.has("text") ? part.at("text") : "\"\"");
  add_others(made, part, {"type", "text", "annotations", "logprobs"});
  return made.object();
}

tl::expected<std::string, api_error> image_part(const json::object& part,
                                                const std::string& where) {
  if (!part.has("image_url"))
    return untyped(where + ".image_url is required: there are no uploaded files here",
                   where + ".image_url");
  json::object_writer image;
  image.raw("url", part.at("image_url")).raw("detail", part.at("detail"));
  json::object_writer made;
  made.text("type", "image_url").raw("image_url", image.object());
  add_others(made, part, {"type", "image_url", "detail", "file_id"});
  return made.object();
}

/// Chats have no member for a file's address: it stands where the data would.
std::string file_part(const json::object& part) {
  json::object_writer file;
  for (const auto* name : {"file_data", "file_id", "filename"})
    file.raw(name, part.at(name));
  if (!part.has("file_data"))
    file.raw("file_data", part.at("file_url"));
  json::object_writer made;
  made.text("type", "file").raw("file", file.object());
  add_others(made, part, {"type", "file_data", "file_id", "file_url", "filename", "detail"});
  return made.object();
}

/// A part of a message's content in the form of chat completions; types of others are passed on.
tl::expected<std::string, api_error> part_of(std::string_view raw, const std::string& where) {
  const json::object part{raw};
  const auto type = part.text("type");
  if (type.empty())
    return bad_request(where + ".type is required", where);
  if (is_text(type))
    return text_part(part);
  if (type == "input_image")
    return image_part(part, where);
  if (type == "input_file")
    return file_part(part);
  return std::string{raw};
}

/// A message's content: a text where one part is all there is and says nothing but its text.
struct content {
  std::string text;
  /// JSON list, instead of the text.
  std::string parts;
};

tl::expected<content, api_error> content_of(std::string_view raw, const std::string& where) {
  if (auto text = json::string_of(raw))
    return content{std::move(*text), {}};
  const auto elements = json::elements_of(raw);
  if (!elements || elements->empty())
    return bad_request(where + " must be a text or a list of parts", where);
  if (elements->size() == 1) {
    const json::object only{elements->front()};
    const bool plain
      = is_text(only.text("type"))
        && std::all_of(only.members().begin(), only.members().end(), [](const json::member& each) {
             return each.name == "type" || each.name == "text" || each.name == "annotations"
                    || each.name == "logprobs";
           });
    if (plain)
      return content{only.text("text"), {}};
  }
  std::vector<std::string> parts;
  for (std::size_t n = 0; n < elements->size(); ++n) {
    auto part = part_of((*elements)[n], where + "[" + std::to_string(n) + "]");
    if (!part)
      return tl::make_unexpected(part.error());
    parts.push_back(std::move(*part));
  }
  return content{{}, json::array_of(parts)};
}

/// Arguments are a text; some clients send the object it stands for, or nothing.
std::string arguments_of(std::string_view raw) {
  if (raw.starts_with('{'))
    return std::string{raw};
  return raw.empty() ? "{}" : json::string_of(raw).value_or(std::string{});
}

// -- items ----------------------------------------------------------------------------------------

/// Puts a conversation together, item by item.
class conversation {
public:
  explicit conversation(std::string_view instructions) {
    if (!instructions.empty())
      messages_.push_back({"system", std::string{instructions}, {}});
  }

  tl::expected<void, api_error> add(std::string_view raw, const std::string& where) {
    const json::object item{raw};
    const auto type = item.text("type");
    if (type == "message" || (type.empty() && item.has("role")))
      return item.text("role") == "assistant" ? said(item, where) : told(item, where);
    if (type == "reasoning")
      return thought(item);
    if (type == "function_call" || type == "custom_tool_call")
      return called(item, where, type == "custom_tool_call");
    if (type == "additional_tools" || type == "configuration_update")
      return {}; // The tools are read with the body's; the rest is between a client and its vendor.
    if (type == "function_call_output" || type == "custom_tool_call_output")
      return returned(item, where);
    if (type.empty())
      return bad_request(where + " must be an item with a type, or a message with a role", where);
    if (type == "item_reference")
      return untyped(where + ".id names no item that is kept", where + ".id");
    return untyped("items of type \"" + type + "\" are not served here", where + ".type");
  }

  std::vector<msg::chat_message> finish() {
    end_turn();
    return std::move(messages_);
  }

private:
  /// What the model said in one go.
  struct turn {
    std::string text;
    std::string refusal;
    std::string reasoning;
    std::string thinking; // JSON list.
    std::vector<msg::tool_call> calls;
    bool spoke = false;
    bool empty = true;
  };

  tl::expected<void, api_error> told(const json::object& item, const std::string& where) {
    const auto role = item.text("role");
    if (role != "user" && role != "system" && role != "developer")
      return bad_request(where + ".role must be one of user, assistant, system, developer",
                         where + ".role");
    auto read = content_of(item.at("content"), where + ".content");
    if (!read)
      return tl::make_unexpected(read.error());
    end_turn();
    json::object_writer rest;
    rest.raw("content", read->parts);
    messages_.push_back({role, std::move(read->text), rest.object_or_nothing()});
    return {};
  }

  tl::expected<void, api_error> said(const json::object& item, const std::string& where) {
    if (turn_.spoke || !turn_.calls.empty())
      end_turn();
    turn_.spoke = true;
    turn_.empty = false;
    const auto raw = item.at("content");
    if (auto text = json::string_of(raw)) {
      turn_.text = std::move(*text);
      return {};
    }
    const auto parts = json::elements_of(raw);
    if (!parts)
      return bad_request(where + ".content must be a text or a list of parts", where + ".content");
    for (std::size_t n = 0; n < parts->size(); ++n) {
      const json::object part{(*parts)[n]};
      const auto type = part.text("type");
      if (is_text(type))
        turn_.text += part.text("text");
      else if (type == "refusal")
        turn_.refusal += part.text("refusal");
      else
        return untyped("an assistant's content has no parts of type \"" + type + "\"",
                       where + ".content[" + std::to_string(n) + "].type");
    }
    return {};
  }

  tl::expected<void, api_error> thought(const json::object& item) {
    if (!turn_.empty)
      end_turn();
    turn_.empty = false;
    for (const auto* from : {"content", "summary"}) {
      for (const auto part :
           json::elements_of(item.at(from)).value_or(std::vector<std::string_view>{}))
        turn_.reasoning += json::object{part}.text("text");
      if (!turn_.reasoning.empty())
        break;
    }
    // Ours is a list of thinking blocks; another provider's is of no use here.
    auto blocks = item.text("encrypted_content");
    if (blocks.starts_with('[') && json::is_valid(blocks))
      turn_.thinking = std::move(blocks);
    return {};
  }

  tl::expected<void, api_error> called(const json::object& item, const std::string& where,
                                       bool custom) {
    for (const auto* name : {"call_id", "name"})
      if (item.text(name).empty())
        return bad_request(where + "." + name + " is required", where + "." + name);
    turn_.empty = false;
    const auto space = item.text("namespace");
    const auto name = item.text("name");
    turn_.calls.push_back(
      function_call(static_cast<std::uint32_t>(turn_.calls.size()), item.text("call_id"),
                    space.empty() ? name : flat_name(space, name),
                    custom ? item.text("input") : arguments_of(item.at("arguments"))));
    if (custom)
      turn_.calls.back().type = "custom";
    return {};
  }

  tl::expected<void, api_error> returned(const json::object& item, const std::string& where) {
    if (item.text("call_id").empty())
      return bad_request(where + ".call_id is required", where + ".call_id");
    auto read = content_of(item.at("output"), where + ".output");
    if (!read)
      return tl::make_unexpected(read.error());
    end_turn();
    json::object_writer rest;
    rest.raw("tool_call_id", item.at("call_id")).raw("content", read->parts);
    messages_.push_back({"tool", std::move(read->text), rest.object()});
    return {};
  }

  void end_turn() {
    auto ended = std::exchange(turn_, turn{});
    // Thoughts that nothing was said after belong to an answer that was cut.
    if (!ended.spoke && ended.calls.empty())
      return;
    json::object_writer rest;
    if (!ended.spoke)
      rest.raw("content", "null");
    if (!ended.refusal.empty())
      rest.text("refusal", ended.refusal);
    if (!ended.reasoning.empty())
      rest.text("reasoning_content", ended.reasoning);
    rest.raw("thinking_blocks", ended.thinking);
    messages_.push_back(
      {"assistant", std::move(ended.text), rest.object_or_nothing(), std::move(ended.calls)});
  }

  std::vector<msg::chat_message> messages_;
  turn turn_;
};

} // namespace

tl::expected<std::vector<msg::chat_message>, api_error>
conversation_of(const std::vector<std::string>& items, std::string_view instructions,
                std::size_t first, std::optional<api_error>* untyped) {
  conversation made{instructions};
  for (std::size_t n = 0; n < items.size(); ++n) {
    const auto where = "input[" + std::to_string(n >= first ? n - first : n) + "]";
    if (auto added = made.add(items[n], where); !added) {
      // Whatever is wrong with an item is the provider's to say where it gets it as it came.
      if (untyped == nullptr)
        return tl::make_unexpected(added.error());
      if (!*untyped)
        *untyped = std::move(added.error());
    }
  }
  auto messages = made.finish();
  if (messages.size() == (instructions.empty() ? 0 : 1) && !(untyped != nullptr && *untyped))
    return bad_request("input has nothing to answer", "input");
  return messages;
}

std::string shown_item(std::string_view raw, std::string_view id) {
  const json::object item{raw};
  json::object_writer made;
  if (!item.has("id"))
    made.text("id", id);
  if (!item.has("type"))
    made.text("type", "message");
  for (const auto& member : item.members()) {
    const bool is_text = member.name == "content" && member.value.starts_with('"');
    if (!is_text) {
      made.raw(member.name, member.value);
      continue;
    }
    json::object_writer part;
    part.text("type", item.text("role") == "assistant" ? "output_text" : "input_text");
    part.raw("text", member.value);
    made.raw(member.name, json::array_of({part.object()}));
  }
  return made.object();
}

} // namespace skep::actors
