#include "apis/anthropic/server_turns.hpp"

#include "apis/chat/tool_calls.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace skep::actors {

tl::unexpected<api_error> wrong_member(const std::string& where, std::string_view what) {
  return tl::make_unexpected(
    api_error{failure{errc::bad_request, where + ": " + std::string{what}}, where});
}

tl::unexpected<api_error> missing_member(const std::string& where) {
  return wrong_member(where, "Field required");
}

std::string member_at(const std::string& where, std::size_t index) {
  return where + "." + std::to_string(index);
}

api_check need_text(const json::object& in, std::string_view name, const std::string& where) {
  const auto full = where.empty() ? std::string{name} : where + "." + std::string{name};
  if (!in.has(name))
    return missing_member(full);
  if (!in.at(name).starts_with('"'))
    return wrong_member(full, "Input should be a valid string");
  return {};
}

namespace {

using list = std::vector<std::string>;

bool is_object(std::string_view value) {
  return value.starts_with('{');
}

// -- content --------------------------------------------------------------------------------------

/// Blocks in OpenAI's form: a text where that says it all, else a list of parts.
struct content {
  list parts;
  /// The text of the only part, when there is but one and it is nothing but text.
  std::optional<std::string> text;

  void add(std::string part) {
    const json::object read{part};
    const bool plain = parts.empty() && read.members().size() == 2 && read.text("type") == "text";
    text = plain ? std::optional{read.text("text")} : std::nullopt;
    parts.push_back(std::move(part));
  }
};

/// Anthropic's image as OpenAI's; one that is an uploaded file stays what it is.
tl::expected<std::string, api_error> image_part(std::string_view raw, const std::string& where) {
  const json::object block{raw};
  const json::object source{block.at("source")};
  if (!is_object(block.at("source")))
    return missing_member(where + ".source");
  const auto type = source.text("type");
  auto url = std::string{};
  if (type == "base64") {
    for (const auto* name : {"media_type", "data"})
      if (auto given = need_text(source, name, where + ".source"); !given)
        return tl::make_unexpected(given.error());
    url = "data:" + source.text("media_type") + ";base64," + source.text("data");
  } else if (type == "url") {
    if (auto given = need_text(source, "url", where + ".source"); !given)
      return tl::make_unexpected(given.error());
    url = source.text("url");
  } else {
    return std::string{raw};
  }
  return json::object_writer{}
    .raw("type", R"("image_url")")
    .raw("image_url", json::object_writer{}.text("url", url).object())
    .raw("cache_control", block.at("cache_control"))
    .object();
}

/// Text has the same form in both APIs; what only Anthropic has goes as it is.
tl::expected<std::string, api_error> part_of(std::string_view raw, const std::string& where) {
  const json::object block{raw};
  if (block.text("type") == "image")
    return image_part(raw, where);
  if (block.text("type") == "text")
    if (auto given = need_text(block, "text", where); !given)
      return tl::make_unexpected(given.error());
  return std::string{raw};
}

/// The elements of a list of blocks, each an object with a type.
tl::expected<std::vector<std::string_view>, api_error> blocks_of(std::string_view value,
                                                                 const std::string& where) {
  const auto blocks = json::elements_of(value);
  if (!blocks)
    return wrong_member(where, "Input should be a valid string or a list of content blocks");
  for (std::size_t n = 0; n < blocks->size(); ++n) {
    if (!is_object((*blocks)[n]))
      return wrong_member(member_at(where, n), "Input should be an object");
    if (auto typed = need_text(json::object{(*blocks)[n]}, "type", member_at(where, n)); !typed)
      return tl::make_unexpected(typed.error());
  }
  return *blocks;
}

tl::expected<content, api_error> content_of(std::string_view value, const std::string& where) {
  content read;
  if (auto text = json::string_of(value)) {
    read.text = std::move(*text);
    return read;
  }
  const auto blocks = blocks_of(value, where);
  if (!blocks)
    return tl::make_unexpected(blocks.error());
  for (std::size_t n = 0; n < blocks->size(); ++n) {
    auto part = part_of((*blocks)[n], member_at(where, n));
    if (!part)
      return tl::make_unexpected(part.error());
    read.add(std::move(*part));
  }
  return read;
}

/// Puts the content where a message has it: the text, or a member of the rest.
void put(content from, msg::chat_message& into, json::object_writer& rest) {
  if (from.text)
    into.content = std::move(*from.text);
  else
    rest.raw("content", from.parts.empty() ? std::string{"null"} : json::array_of(from.parts));
}

// -- messages -------------------------------------------------------------------------------------

/// Puts a conversation together, turn by turn.
class conversation {
public:
  api_check add_system(std::string_view value, const std::string& where = "system",
                       bool in_a_turn = false);
  api_check add_turn(std::string_view raw, const std::string& where);

  std::vector<msg::chat_message> take() {
    return std::move(messages_);
  }

private:
  struct assistant_parts {
    content said;
    list thinking;
    std::vector<msg::tool_call> calls;
  };

  api_check add_user(std::string_view value, const std::string& where);
  api_check add_assistant(std::string_view value, const std::string& where);
  api_check add_result(std::string_view raw, const std::string& where);
  static api_check add_call(assistant_parts& into, std::string_view raw, const std::string& where);
  void flush_user(content& said);
  void flush_assistant(assistant_parts& parts);
  void push(msg::chat_message message, const json::object_writer& rest);

  std::vector<msg::chat_message> messages_;
};

void conversation::push(msg::chat_message message, const json::object_writer& rest) {
  message.rest = rest.object_or_nothing();
  messages_.push_back(std::move(message));
}

/// Blocks that a system turn may have beside text; they are passed on as they came.
bool is_for_systems(std::string_view type) {
  return type == "tool_addition" || type == "tool_removal";
}

api_check conversation::add_system(std::string_view value, const std::string& where,
                                   bool in_a_turn) {
  if (value.empty() || value == R"("")" || value == "[]")
    return {};
  auto read = content_of(value, where);
  if (!read)
    return tl::make_unexpected(read.error());
  for (std::size_t n = 0; n < read->parts.size(); ++n)
    if (const auto type = json::object{read->parts[n]}.text("type");
        type != "text" && !(in_a_turn && is_for_systems(type)))
      return wrong_member(member_at(where, n) + ".type", "Input should be \"text\"");
  msg::chat_message message{"system", {}, {}};
  json::object_writer rest;
  put(std::move(*read), message, rest);
  push(std::move(message), rest);
  return {};
}

api_check conversation::add_turn(std::string_view raw, const std::string& where) {
  if (!is_object(raw))
    return wrong_member(where, "Input should be an object");
  const json::object turn{raw};
  if (auto given = need_text(turn, "role", where); !given)
    return given;
  if (!turn.has("content"))
    return missing_member(where + ".content");
  const auto role = turn.text("role");
  if (role == "user")
    return add_user(turn.at("content"), where + ".content");
  if (role == "assistant")
    return add_assistant(turn.at("content"), where + ".content");
  if (role == "system")
    return add_system(turn.at("content"), where + ".content", true);
  return wrong_member(where + ".role", "Input should be \"user\", \"assistant\" or \"system\"");
}

void conversation::flush_user(content& said) {
  if (said.parts.empty() && !said.text)
    return;
  msg::chat_message message{"user", {}, {}};
  json::object_writer rest;
  put(std::exchange(said, {}), message, rest);
  push(std::move(message), rest);
}

/// Tool results are messages of their own; what stands between them keeps its place.
api_check conversation::add_user(std::string_view value, const std::string& where) {
  content said;
  if (auto text = json::string_of(value)) {
    said.text = std::move(*text);
    flush_user(said);
    return {};
  }
  const auto blocks = blocks_of(value, where);
  if (!blocks)
    return tl::make_unexpected(blocks.error());
  for (std::size_t n = 0; n < blocks->size(); ++n) {
    const auto raw = (*blocks)[n];
    const auto type = json::object{raw}.text("type");
    if (type == "tool_use")
      return wrong_member(member_at(where, n),
                          "`tool_use` blocks can only be in `assistant` messages");
    if (type == "tool_result") {
      flush_user(said);
      if (auto added = add_result(raw, member_at(where, n)); !added)
        return added;
      continue;
    }
    auto part = part_of(raw, member_at(where, n));
    if (!part)
      return tl::make_unexpected(part.error());
    said.add(std::move(*part));
  }
  flush_user(said);
  return {};
}

api_check conversation::add_result(std::string_view raw, const std::string& where) {
  const json::object block{raw};
  if (auto given = need_text(block, "tool_use_id", where); !given)
    return given;
  msg::chat_message message{"tool", {}, {}};
  json::object_writer rest;
  if (block.has("content")) {
    auto read = content_of(block.at("content"), where + ".content");
    if (!read)
      return tl::make_unexpected(read.error());
    if (read->text || !read->parts.empty())
      put(std::move(*read), message, rest);
  }
  rest.raw("tool_call_id", block.at("tool_use_id"))
    .raw("is_error", block.at("is_error"))
    .raw("cache_control", block.at("cache_control"));
  push(std::move(message), rest);
  return {};
}

api_check conversation::add_call(assistant_parts& into, std::string_view raw,
                                 const std::string& where) {
  const json::object block{raw};
  for (const auto* name : {"id", "name"})
    if (auto given = need_text(block, name, where); !given)
      return given;
  if (!block.has("input"))
    return missing_member(where + ".input");
  if (!is_object(block.at("input")))
    return wrong_member(where + ".input", "Input should be an object");
  auto& call = into.calls.emplace_back(function_call(static_cast<std::uint32_t>(into.calls.size()),
                                                     block.text("id"), block.text("name"),
                                                     std::string{block.at("input")}));
  call.extra = json::object_writer{}
                 .raw("cache_control", block.at("cache_control"))
                 .raw("caller", block.at("caller"))
                 .object_or_nothing();
  return {};
}

/// What was thought, in one text; providers that sign nothing want it back so.
std::string reasoning_of(const list& thinking) {
  std::string all;
  for (const auto& block : thinking)
    all += json::object{block}.text("thinking");
  return all;
}

void conversation::flush_assistant(assistant_parts& parts) {
  if (parts.said.parts.empty() && !parts.said.text && parts.thinking.empty() && parts.calls.empty())
    return;
  msg::chat_message message{"assistant", {}, {}};
  json::object_writer rest;
  put(std::move(parts.said), message, rest);
  if (const auto reasoning = reasoning_of(parts.thinking); !reasoning.empty())
    rest.text("reasoning_content", reasoning);
  if (!parts.thinking.empty())
    rest.raw("thinking_blocks", json::array_of(parts.thinking));
  message.tool_calls = std::move(parts.calls);
  push(std::move(message), rest);
  parts = {};
}

api_check conversation::add_assistant(std::string_view value, const std::string& where) {
  assistant_parts parts;
  if (auto text = json::string_of(value)) {
    parts.said.text = std::move(*text);
    flush_assistant(parts);
    return {};
  }
  const auto blocks = blocks_of(value, where);
  if (!blocks)
    return tl::make_unexpected(blocks.error());
  for (std::size_t n = 0; n < blocks->size(); ++n) {
    const auto raw = (*blocks)[n];
    const auto type = json::object{raw}.text("type");
    if (type == "tool_result")
      return wrong_member(member_at(where, n),
                          "`tool_result` blocks can only be in `user` messages");
    if (type == "thinking" || type == "redacted_thinking") {
      if (!parts.said.parts.empty() && parts.calls.empty())
        flush_assistant(parts);
      parts.thinking.emplace_back(raw);
    } else if (type == "tool_use") {
      if (auto added = add_call(parts, raw, member_at(where, n)); !added)
        return added;
    } else {
      auto part = part_of(raw, member_at(where, n));
      if (!part)
        return tl::make_unexpected(part.error());
      parts.said.add(std::move(*part));
    }
  }
  flush_assistant(parts);
  return {};
}

} // namespace

tl::expected<std::vector<msg::chat_message>, api_error> read_turns(std::string_view system,
                                                                   std::string_view messages) {
  const auto turns = json::elements_of(messages);
  if (!turns)
    return wrong_member("messages", "Input should be a valid list");
  if (turns->empty())
    return wrong_member("messages", "at least one message is required");
  conversation talk;
  auto step = talk.add_system(system);
  for (std::size_t n = 0; step && n < turns->size(); ++n)
    step = talk.add_turn((*turns)[n], member_at("messages", n));
  if (!step)
    return tl::make_unexpected(step.error());
  auto read = talk.take();
  if (std::all_of(read.begin(), read.end(),
                  [](const msg::chat_message& each) { return each.role == "system"; }))
    return wrong_member("messages", "at least one message must say something");
  return read;
}

} // namespace skep::actors
