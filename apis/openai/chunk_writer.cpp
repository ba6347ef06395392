#include "apis/openai/chunk_writer.hpp"

#include "apis/chat/sse_frame.hpp"
#include "apis/openai/chat_json.hpp"
#include "runtime/json/splice.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace skep::actors {

std::string repeated_members(const std::string& rest) {
  if (rest.size() > repeated_bytes_max)
    return {};
  if (rest.find('[') == std::string::npos && rest.find('{', 1) == std::string::npos)
    return rest;
  auto members = json::members_of(rest).value_or(std::vector<json::member>{});
  std::erase_if(members, [](const json::member& each) {
    return each.value.starts_with('[') || each.value.starts_with('{');
  });
  return json::object_of(members);
}

namespace {

/// Appends the members of a delta to an object that has none yet.
void append_delta(std::string& out, const msg::chat_chunk& chunk) {
  const auto from = out.size();
  const auto next = [&] {
    if (out.size() > from)
      out += ',';
  };
  if (!chunk.content.empty())
    json::append_member(out, "content", chunk.content);
  if (!chunk.tool_calls.empty()) {
    next();
    out += "\"tool_calls\":";
    append_tool_call_pieces(out, chunk.tool_calls);
  }
  const auto splice = [&](const std::string& members) {
    if (members.size() <= 2)
      return;
    next();
    out.append(members, 1, members.size() - 2);
  };
  if (chunk.tool_calls.empty())
    splice(chunk.delta_rest);
  else // What of them could not be read stands among the rest.
    splice(json::object_without(chunk.delta_rest, {"tool_calls"}));
}

} // namespace

chunk_writer::chunk_writer(const msg::chat_open& open, bool include_usage)
  : include_usage_(include_usage) {
  constexpr std::string_view list = ",\"choices\":[";
  head_ = "data: {";
  json::append_member(head_, "id", open.id);
  head_
    += ",\"object\":\"chat.completion.chunk\",\"created\":" + std::to_string(open.created) + ",";
  json::append_member(head_, "model", open.model);
  auto whole = head_;
  json::splice(whole, open.rest);
  json::splice(head_, repeated_members(open.rest));
  whole += list;
  head_ += list;
  if (whole.size() != head_.size())
    first_head_ = std::move(whole);
  tail_ = include_usage ? "],\"usage\":null}" : "]}";
}

std::string chunk_writer::frame(const msg::chat_chunk& chunk) {
  std::string out;
  std::size_t from = 0;
  const auto begin = [&] {
    from = out.size();
    out += first_head_.empty() ? head_ : std::exchange(first_head_, {});
    out += "{\"index\":" + std::to_string(chunk.index) + ",\"delta\":{";
  };
  auto* choice = find(chunk.index);
  const bool first = choice == nullptr;
  if (first)
    choice = &begun_.emplace_back(begun_choice{chunk.index});
  choice->calls_tools = choice->calls_tools || !chunk.tool_calls.empty();
  choice->finished = choice->finished || !chunk.finish_reason.empty();
  if (first) {
    begin();
    out += R"("role":"assistant","content":""},"finish_reason":null})" + tail_;
    end_frame(out, 0);
    if (chunk.content.empty() && chunk.delta_rest.empty() && chunk.tool_calls.empty()
        && chunk.finish_reason.empty() && chunk.rest.empty())
      return out;
  }
  begin();
  append_delta(out, chunk);
  out += "},\"finish_reason\":";
  out += chunk.finish_reason.empty() ? "null" : json::quoted(chunk.finish_reason);
  json::splice_but(out, chunk.rest, {"index", "delta", "finish_reason"});
  out += '}';
  out += tail_;
  end_frame(out, from);
  return out;
}

chunk_writer::begun_choice* chunk_writer::find(std::uint32_t index) {
  const auto found = std::find_if(begun_.begin(), begun_.end(),
                                  [index](const begun_choice& c) { return c.index == index; });
  return found == begun_.end() ? nullptr : &*found;
}

std::string chunk_writer::finish(const msg::token_usage& usage) {
  std::string out;
  for (const auto& choice : begun_) {
    if (choice.finished)
      continue;
    msg::chat_chunk last;
    last.index = choice.index;
    last.finish_reason = choice.calls_tools ? "tool_calls" : "stop";
    out += frame(last);
  }
  if (include_usage_) {
    const auto from = out.size();
    out += head_ + "],\"usage\":" + write_usage(usage) + "}";
    end_frame(out, from);
  }
  return out + "data: [DONE]\n\n";
}

} // namespace skep::actors
