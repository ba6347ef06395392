// The streamed half of anthropic_answer.
#include "apis/anthropic/client_answer.hpp"
#include "apis/chat/tool_calls.hpp"
#include "apis/openai/chat_json.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

// Blocks come one after the other; a few more at a time than the API ever has.
constexpr std::size_t open_blocks_max = 16;
constexpr std::size_t block_bytes_max = std::size_t{4} << 20;

tl::unexpected<failure> broken(const std::string& what) {
  return fail(errc::provider_failed, "the provider's stream " + what);
}

void add_text(chunk_event& into, std::string text) {
  if (text.empty())
    return;
  auto& chunk = into.chunks.emplace_back();
  chunk.content = std::move(text);
}

void add_rest(chunk_event& into, std::string delta_rest) {
  auto& chunk = into.chunks.emplace_back();
  chunk.delta_rest = std::move(delta_rest);
}

void add_arguments(chunk_event& into, std::uint32_t number, std::string piece) {
  auto& call = into.chunks.emplace_back().tool_calls.emplace_back();
  call.index = number;
  call.arguments = std::move(piece);
}

void begin_call(chunk_event& into, std::uint32_t number, const json::object& content) {
  into.chunks.emplace_back().tool_calls.push_back(
    function_call(number, content.text("id"), content.text("name"), {}));
}

/// `member` is thinking or signature; `quoted` its JSON.
std::string thinking_piece(std::uint32_t number, std::string_view member, std::string_view quoted) {
  const auto piece = json::object_writer{}
                       .number("index", number)
                       .raw("type", R"("thinking")")
                       .raw(member, quoted)
                       .object();
  json::object_writer delta;
  if (member == "thinking")
    delta.raw("reasoning_content", quoted);
  return delta.raw("thinking_blocks", json::array_of({piece})).object();
}

} // namespace

expected<chunk_event> anthropic_stream::read(std::string_view data) {
  if (auto sane = json::check(data); !sane)
    return broken("has an event that is no JSON we can read: " + sane.error().detail);
  const json::object event{data};
  const auto type = event.text("type");
  chunk_event read;
  auto done = expected<void>{};
  if (type == "message_start") {
    const json::object message{event.at("message")};
    read.open.id = message.text("id");
    read.open.model = message.text("model");
    done = check_head(read.open.id, read.open.model);
    usage_.add(message.at("usage"));
    read.usage = usage_.total();
    read.usage->estimated = true; // What is written is counted at the end.
  } else if (type == "content_block_start") {
    done = start_block(data, read);
  } else if (type == "content_block_delta") {
    done = add_delta(data, read);
  } else if (type == "content_block_stop") {
    stop_block(data, read);
  } else if (type == "message_delta") {
    finish(data, read);
  } else if (type == "message_stop") {
    read.last = true;
  } else if (type == "error" || event.has("error")) {
    read.error = read_error(data);
  }
  if (!done)
    return fail(done.error());
  return read;
}

anthropic_stream::block* anthropic_stream::block_at(std::uint64_t index) {
  const auto found = std::find_if(open_blocks_.begin(), open_blocks_.end(),
                                  [index](const block& each) { return each.index == index; });
  return found == open_blocks_.end() ? nullptr : &*found;
}

expected<void> anthropic_stream::start_block(std::string_view event, chunk_event& into) {
  const json::object start{event};
  const auto raw = start.at("content_block");
  const json::object content{raw};
  const auto type = content.text("type");
  if (open_blocks_.size() == open_blocks_max)
    return broken("has too many blocks open at a time");
  auto& begun = open_blocks_.emplace_back();
  begun.index = start.count("index");
  if (type == "text") {
    begun.kind = block_kind::text;
    add_text(into, content.text("text"));
  } else if (type == "tool_use") {
    begun.kind = block_kind::tool;
    begun.number = tools_++;
    begun.start = content.at("input");
    begin_call(into, begun.number, content);
  } else if (type == "thinking" || type == "redacted_thinking") {
    start_thinking(begun, type, raw, into);
  } else {
    begun.start = raw;
  }
  return {};
}

void anthropic_stream::start_thinking(block& begun, std::string_view type, std::string_view content,
                                      chunk_event& into) {
  begun.kind = block_kind::thinking;
  begun.number = thoughts_++;
  const json::object given{content};
  if (type == "redacted_thinking") {
    json::object_writer whole;
    whole.number("index", begun.number);
    for (const auto& member : given.members())
      whole.raw(member.name, member.value);
    add_rest(
      into,
      json::object_writer{}.raw("thinking_blocks", json::array_of({whole.object()})).object());
    return;
  }
  for (const auto* member : {"thinking", "signature"})
    if (!given.text(member).empty())
      add_rest(into, thinking_piece(begun.number, member, given.at(member)));
}

expected<void> anthropic_stream::add_delta(std::string_view event, chunk_event& into) {
  const json::object outer{event};
  const json::object delta{outer.at("delta")};
  const auto type = delta.text("type");
  auto* const at = block_at(outer.count("index"));
  if (at == nullptr)
    return broken("has a piece of a block that did not begin");
  if (type == "text_delta") {
    add_text(into, delta.text("text"));
  } else if (type == "thinking_delta" && !delta.text("thinking").empty()) {
    add_rest(into, thinking_piece(at->number, "thinking", delta.at("thinking")));
  } else if (type == "signature_delta" && !delta.text("signature").empty()) {
    add_rest(into, thinking_piece(at->number, "signature", delta.at("signature")));
  } else if (type == "input_json_delta") {
    auto piece = delta.text("partial_json");
    if (piece.empty())
      return {};
    if (at->kind == block_kind::tool) {
      at->start.clear(); // The pieces say it all.
      add_arguments(into, at->number, std::move(piece));
    } else if (at->input.size() + piece.size() > block_bytes_max) {
      return broken("has a block over " + std::to_string(block_bytes_max) + " bytes");
    } else {
      at->input += piece;
    }
  }
  return {};
}

void anthropic_stream::stop_block(std::string_view event, chunk_event& into) {
  const auto index = json::object{event}.count("index");
  auto* const at = block_at(index);
  if (at == nullptr)
    return;
  if (at->kind == block_kind::tool && !at->start.empty()) {
    add_arguments(into, at->number, at->start);
  } else if (at->kind == block_kind::other && at->start.size() > 2) {
    auto whole = at->start;
    if (json::is_valid(at->input)) {
      json::object_writer filled;
      const json::object start{at->start};
      for (const auto& member : start.members())
        filled.raw(member.name,
                   member.name == "input" ? std::string_view{at->input} : member.value);
      whole = filled.object();
    }
    add_rest(into, json::object_writer{}.raw("content_blocks", json::array_of({whole})).object());
  }
  std::erase_if(open_blocks_, [index](const block& each) { return each.index == index; });
}

void anthropic_stream::finish(std::string_view event, chunk_event& into) {
  const json::object outer{event};
  const json::object delta{outer.at("delta")};
  if (delta.has("stop_reason")) {
    auto stop = read_stop(delta.at("stop_reason"), delta.at("stop_sequence"));
    auto& chunk = into.chunks.emplace_back();
    chunk.finish_reason = stop.finish_reason;
    chunk.rest = std::move(stop.rest);
  }
  usage_.add(outer.at("usage"));
  into.usage = usage_.total();
}

} // namespace skep::actors
