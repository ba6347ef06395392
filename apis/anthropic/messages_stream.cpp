#include "apis/anthropic/messages_stream.hpp"

#include "apis/chat/sse_frame.hpp"

#include <cctype>
#include <utility>

namespace skep::actors {

namespace {

std::string typed_delta(std::string_view type, std::string_view member, std::string_view text) {
  return json::object_writer{}.text("type", type).text(member, text).object();
}

} // namespace

std::string messages_event(std::string_view name, std::string_view data) {
  std::string frame = "event: ";
  frame.append(name).append("\ndata: ");
  const auto from = frame.size();
  frame += data;
  end_frame(frame, from);
  return frame;
}

std::string made_up_call_prefix(std::string_view answer_id) {
  std::string id = "toolu_";
  // One goes with every call, so a long one is cut.
  constexpr std::size_t part_of_answer_id = 64;
  // The API takes no other characters back.
  for (const char each : answer_id.substr(0, part_of_answer_id))
    if (std::isalnum(static_cast<unsigned char>(each)) != 0 || each == '-' || each == '_')
      id += each;
  return id + "_";
}

std::string block_stream::take() {
  return std::exchange(out_, {});
}

// -- blocks ---------------------------------------------------------------------------------------

void block_stream::begin(open_block kind, std::string_view content) {
  close();
  open_ = kind;
  out_ += messages_event("content_block_start", json::object_writer{}
                                                  .raw("type", R"("content_block_start")")
                                                  .number("index", next_++)
                                                  .raw("content_block", content)
                                                  .object());
}

void block_stream::delta(std::uint64_t block, std::string_view data) {
  out_ += messages_event("content_block_delta", json::object_writer{}
                                                  .raw("type", R"("content_block_delta")")
                                                  .number("index", block)
                                                  .raw("delta", data)
                                                  .object());
}

void block_stream::stop(std::uint64_t block) {
  out_ += messages_event(
    "content_block_stop",
    json::object_writer{}.raw("type", R"("content_block_stop")").number("index", block).object());
}

void block_stream::close() {
  if (open_ == open_block::none)
    return;
  if (open_ == open_block::thinking && !signature_.empty())
    delta(next_ - 1, typed_delta("signature_delta", "signature", signature_));
  signature_.clear();
  open_ = open_block::none;
  stop(next_ - 1);
}

void block_stream::end() {
  for (auto& [key, each] : calls_)
    if (!each.begun) {
      begin_call(each, {});
      if (!each.waiting.empty())
        delta(each.block, typed_delta("input_json_delta", "partial_json", each.waiting));
    }
  close();
}

void block_stream::add_text(std::string_view text) {
  if (text.empty())
    return;
  if (open_ != open_block::text)
    begin(open_block::text, R"({"type":"text","text":""})");
  delta(next_ - 1, typed_delta("text_delta", "text", text));
}

void block_stream::add_block(std::string_view raw) {
  if (raw.empty())
    return;
  begin(open_block::none, raw);
  stop(next_ - 1);
}

void block_stream::add_thinking(std::string_view raw) {
  const json::object piece{raw};
  const auto type = piece.text("type");
  if (type != "thinking" && !type.empty())
    return add_block(json::object_without(raw, {"index"}));
  const bool numbered = piece.has("index");
  const auto number = piece.count("index");
  const bool goes_on
    = open_ == open_block::thinking && (numbered ? number == thinking_ : signature_.empty());
  if (!goes_on)
    begin(open_block::thinking, R"({"type":"thinking","thinking":"","signature":""})");
  thinking_ = number;
  if (const auto text = piece.text("thinking"); !text.empty())
    delta(next_ - 1, typed_delta("thinking_delta", "thinking", text));
  // Clients take the last signature_delta for the whole, so it is written once, at the end.
  signature_ += piece.text("signature");
}

// -- tool calls -----------------------------------------------------------------------------------

void block_stream::begin_call(call& which, std::string_view name) {
  begin(open_block::call, json::object_writer{}
                            .raw("type", R"("tool_use")")
                            .text("id", which.id)
                            .text("name", name)
                            .raw("input", "{}")
                            .object());
  which.block = next_ - 1;
  which.begun = true;
}

void block_stream::add_call(const msg::tool_call& piece, std::string_view answer_id) {
  const auto [at, fresh] = calls_.try_emplace(piece.index);
  auto& which = at->second;
  if (fresh)
    which.id = ids_.unique(piece.id, made_up_call_prefix(answer_id), piece.index);
  which.waiting += piece.arguments;
  if (!which.begun) {
    if (piece.name.empty())
      return;
    begin_call(which, piece.name);
  }
  if (!which.waiting.empty())
    delta(which.block, typed_delta("input_json_delta", "partial_json", which.waiting));
  which.waiting.clear();
}

} // namespace skep::actors
