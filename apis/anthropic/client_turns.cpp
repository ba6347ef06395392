#include "apis/anthropic/client_turns.hpp"

#include "apis/chat/request_body.hpp"
#include "runtime/base/base64.hpp"
#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>

namespace skep::actors {

namespace {

using blocks = std::vector<std::string>;

tl::unexpected<failure> wrong(const std::string& where, const std::string& what) {
  return fail(errc::bad_request, where + " " + what);
}

std::string text_block(std::string_view quoted) {
  return json::object_writer{}.raw("type", R"("text")").raw("text", quoted).object();
}

// -- content parts --------------------------------------------------------------------------------

/// The source of an image or document: the bytes of a data URL, or the address.
expected<std::string> source_of(const std::string& url, const std::string& where) {
  if (url.starts_with("http://") || url.starts_with("https://"))
    return json::object_writer{}.raw("type", R"("url")").text("url", url).object();
  constexpr std::string_view scheme = "data:";
  constexpr std::string_view encoding = ";base64,";
  const auto comma = url.find(encoding);
  if (!url.starts_with(scheme) || comma == std::string::npos)
    return wrong(where, "must be an http(s) URL or a data: URL in base64");
  const auto type = std::string_view{url}.substr(scheme.size(), comma - scheme.size());
  return json::object_writer{}
    .raw("type", R"("base64")")
    .text("media_type", type)
    .text("data", std::string_view{url}.substr(comma + encoding.size()))
    .object();
}

expected<std::string> image_block(const json::object& part, const std::string& where) {
  const auto named = part.at("image_url");
  const auto url = json::string_of(named).value_or(json::object{named}.text("url"));
  const auto source = source_of(url, where + ".image_url.url");
  if (!source)
    return fail(source.error());
  return json::object_writer{}
    .raw("type", R"("image")")
    .raw("source", *source)
    .raw("cache_control", part.at("cache_control"))
    .object();
}

/// A file's data as a document's source: of texts the API takes no base64.
expected<std::string> document_source(const std::string& data, const std::string& where) {
  auto source = source_of(data, where);
  if (!source)
    return source;
  const json::object read{*source};
  const auto type = read.text("media_type");
  const auto text = type.starts_with("text/") ? from_base64(read.text("data")) : std::nullopt;
  if (!text)
    return source;
  return json::object_writer{}
    .raw("type", R"("text")")
    .raw("media_type", R"("text/plain")")
    .text("data", *text)
    .object();
}

expected<std::string> document_block(const json::object& part, const std::string& where) {
  const json::object file{part.at("file")};
  auto source = std::string{};
  if (file.has("file_id")) {
    source
      = json::object_writer{}.raw("type", R"("file")").raw("file_id", file.at("file_id")).object();
  } else {
    auto read = document_source(file.text("file_data"), where + ".file.file_data");
    if (!read)
      return fail(read.error());
    source = std::move(*read);
  }
  return json::object_writer{}
    .raw("type", R"("document")")
    .raw("source", source)
    .raw("title", file.at("filename"))
    .raw("cache_control", part.at("cache_control"))
    .object();
}

/// Empty for an empty text: the API refuses those.
expected<std::string> block_of(std::string_view raw, const std::string& where) {
  const json::object part{raw};
  const auto type = part.text("type");
  if (type == "text") {
    if (part.text("text").empty())
      return std::string{};
    return json::object_writer{}
      .raw("type", R"("text")")
      .raw("text", part.at("text"))
      .raw("citations", part.at("citations"))
      .raw("cache_control", part.at("cache_control"))
      .object();
  }
  if (type == "image_url")
    return image_block(part, where);
  if (type == "file")
    return document_block(part, where);
  if (type == "refusal")
    return part.text("refusal").empty() ? std::string{} : text_block(part.at("refusal"));
  if (type == "input_audio")
    return wrong(where, "is audio, which Anthropic's API does not take");
  if (type.empty())
    return wrong(where, "needs a type");
  return std::string{raw}; // A block of Anthropic's own.
}

/// The content's blocks, without empty texts.
expected<blocks> content_of(const msg::chat_message& message, const json::object& rest,
                            const std::string& where) {
  blocks read;
  if (!message.content.empty())
    read.push_back(text_block(json::quoted(message.content)));
  const auto parts = json::elements_of(rest.at("content"));
  for (std::size_t n = 0; parts && n < parts->size(); ++n) {
    auto block = block_of((*parts)[n], where + ".content[" + std::to_string(n) + "]");
    if (!block)
      return fail(block.error());
    if (!block->empty())
      read.push_back(std::move(*block));
  }
  return read;
}

/// A message's cache_control is that of its last block.
void mark_last(blocks& of, std::string_view cache_control) {
  if (of.empty() || cache_control.empty() || json::object{of.back()}.has("cache_control"))
    return;
  of.back().pop_back();
  of.back().append(",\"cache_control\":").append(cache_control).append("}");
}

// -- messages -------------------------------------------------------------------------------------

/// What the API takes in the id of a call.
constexpr std::string_view id_characters
  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/// Gives the calls of a conversation ids that the API takes: letters, digits, _ and -, and no two
/// the same. Ids that are so already stay, and none changes when the conversation goes on.
class turn_ids {
public:
  /// What is called from here on is not answered by results that belong to earlier turns.
  void begin_turn() {
    open_.clear();
  }
  std::string of_call(const std::string& id) {
    const auto wanted = allowed(id);
    auto made = wanted;
    if (!used_.insert(made).second) {
      // A number that was tried is not tried again: each call takes its time once.
      auto& last = last_.try_emplace(wanted, 1).first->second;
      do
        made = wanted + "_" + std::to_string(++last);
      while (!used_.insert(made).second);
    }
    open_[id].push_back(made);
    return made;
  }
  /// Calls of one id are answered in their order.
  std::string of_result(const std::string& id) {
    auto& open = open_[id];
    if (open.empty())
      return allowed(id);
    auto made = open.front();
    if (open.size() > 1)
      open.pop_front();
    return made;
  }

private:
  static std::string allowed(std::string id) {
    for (auto at = id.find_first_not_of(id_characters); at != std::string::npos;
         at = id.find_first_not_of(id_characters, at))
      id[at] = '_';
    return id.empty() ? "call" : id;
  }

  std::set<std::string> used_;
  /// By the id that was wanted, the number that the last such call got.
  std::map<std::string, std::uint64_t> last_;
  /// By the id it came with, the calls of this turn without a result.
  std::map<std::string, std::deque<std::string>> open_;
};

expected<std::string> tool_use_block(const msg::tool_call& call, turn_ids& ids,
                                     const std::string& where) {
  if (call.name.empty() || call.type == "custom")
    return wrong(where, "must be a call of a function: Anthropic's API knows no others");
  const auto& input = call.arguments;
  const bool nothing = is_blank(input);
  const json::object extra{call.extra};
  if (!nothing && (!json::members_of(input) || !json::is_valid(input)))
    return wrong(where + ".function.arguments", "must be a JSON object");
  return json::object_writer{}
    .raw("type", R"("tool_use")")
    .text("id", ids.of_call(call.id))
    .text("name", call.name)
    .raw("input", nothing ? std::string_view{"{}"} : std::string_view{input})
    .raw("caller", extra.at("caller"))
    .raw("cache_control", extra.at("cache_control"))
    .object();
}

/// Thinking the API did not sign is left out: it would refuse it.
blocks thinking_of(const json::object& rest) {
  blocks read;
  for (const auto raw :
       json::elements_of(rest.at("thinking_blocks")).value_or(std::vector<std::string_view>{})) {
    const json::object block{raw};
    if (block.text("type") != "thinking" || !block.text("signature").empty())
      if (auto kept = json::object_without(raw, {"index"}); !kept.empty())
        read.push_back(std::move(kept));
  }
  return read;
}

expected<blocks> assistant_blocks(const msg::chat_message& message, const json::object& rest,
                                  turn_ids& ids, const std::string& where) {
  auto read = thinking_of(rest);
  for (const auto raw :
       json::elements_of(rest.at("content_blocks")).value_or(std::vector<std::string_view>{}))
    read.emplace_back(raw);
  auto content = content_of(message, rest, where);
  if (!content)
    return fail(content.error());
  for (auto& block : *content)
    read.push_back(std::move(block));
  if (content->empty() && !rest.text("refusal").empty())
    read.push_back(text_block(rest.at("refusal")));
  if (const auto odd = json::elements_of(rest.at("tool_calls")); odd && !odd->empty())
    return wrong(where + ".tool_calls", "must be a list of calls");
  for (std::size_t n = 0; n < message.tool_calls.size(); ++n) {
    auto block = tool_use_block(message.tool_calls[n], ids,
                                where + ".tool_calls[" + std::to_string(n) + "]");
    if (!block)
      return fail(block.error());
    read.push_back(std::move(*block));
  }
  if (rest.has("function_call"))
    return wrong(where + ".function_call", "is not supported; use tool_calls");
  mark_last(read, rest.at("cache_control"));
  return read;
}

expected<blocks> tool_blocks(const msg::chat_message& message, const json::object& rest,
                             turn_ids& ids, const std::string& where) {
  if (!rest.has("tool_call_id"))
    return wrong(where + ".tool_call_id", "is required: which call this is the result of");
  const auto content = content_of(message, rest, where);
  if (!content)
    return fail(content.error());
  return blocks{json::object_writer{}
                  .raw("type", R"("tool_result")")
                  .text("tool_use_id", ids.of_result(rest.text("tool_call_id")))
                  .raw("content", content->empty() ? std::string{} : json::array_of(*content))
                  .raw("is_error", rest.at("is_error"))
                  .raw("cache_control", rest.at("cache_control"))
                  .object()};
}

expected<blocks> plain_blocks(const msg::chat_message& message, const json::object& rest,
                              const std::string& where) {
  auto read = content_of(message, rest, where);
  if (read)
    mark_last(*read, rest.at("cache_control"));
  return read;
}

// -- turns ----------------------------------------------------------------------------------------

struct turn {
  bool assistant = false;
  blocks content;
};

/// Adds to the last turn when it has the same role.
void add_to(std::vector<turn>& turns, bool assistant, blocks content) {
  if (content.empty())
    return; // The API refuses turns that say nothing.
  if (turns.empty() || turns.back().assistant != assistant)
    turns.push_back({assistant, {}});
  for (auto& block : content)
    turns.back().content.push_back(std::move(block));
}

bool has_block(const turn& in, std::string_view type) {
  for (const auto& block : in.content)
    if (json::object{block}.text("type") == type)
      return true;
  return false;
}

bool answers_unsigned_calls(const std::vector<turn>& turns) {
  if (turns.size() < 2)
    return false;
  const auto& asked = turns[turns.size() - 2];
  return has_block(turns.back(), "tool_result") && has_block(asked, "tool_use")
         && !has_block(asked, "thinking") && !has_block(asked, "redacted_thinking");
}

std::string messages_of(const std::vector<turn>& turns) {
  std::vector<std::string> written;
  for (const auto& each : turns)
    written.push_back(json::object_writer{}
                        .raw("role", each.assistant ? R"("assistant")" : R"("user")")
                        .raw("content", json::array_of(each.content))
                        .object());
  return json::array_of(written);
}

/// One plain text stays one.
std::string system_of(const blocks& from) {
  if (from.empty())
    return {};
  const json::object only{from.front()};
  if (from.size() == 1 && only.members().size() == 2)
    return std::string{only.at("text")};
  return json::array_of(from);
}

} // namespace

bool has_own_ids(const std::vector<msg::chat_message>& messages) {
  return std::all_of(messages.begin(), messages.end(), [](const msg::chat_message& message) {
    const auto& calls = message.tool_calls;
    return std::all_of(calls.begin(), calls.end(), [](const msg::tool_call& call) {
      return call.id.find_first_not_of(id_characters) == std::string::npos;
    });
  });
}

expected<anthropic_turns> anthropic_turns_of(const std::vector<msg::chat_message>& messages) {
  std::vector<turn> turns;
  blocks system;
  turn_ids ids;
  for (std::size_t n = 0; n < messages.size(); ++n) {
    const auto& message = messages[n];
    const json::object rest{message.rest};
    const auto where = "messages[" + std::to_string(n) + "]";
    const auto& role = message.role;
    const bool instructs = role == "system" || role == "developer";
    if (role == "function")
      return wrong(where + ".role", "\"function\" is not supported; use tool");
    if (role == "assistant" && (turns.empty() || !turns.back().assistant))
      ids.begin_turn();
    auto read = role == "assistant" ? assistant_blocks(message, rest, ids, where)
                : role == "tool"    ? tool_blocks(message, rest, ids, where)
                                    : plain_blocks(message, rest, where);
    if (!read)
      return fail(read.error());
    if (!instructs)
      add_to(turns, role == "assistant", std::move(*read));
    else
      for (auto& block : *read)
        system.push_back(std::move(block));
  }
  if (turns.empty())
    return wrong("messages", "must hold a message of role user that says something");
  return anthropic_turns{system_of(system), messages_of(turns), answers_unsigned_calls(turns)};
}

} // namespace skep::actors
