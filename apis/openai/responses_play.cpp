#include "apis/openai/responses_play.hpp"

#include "apis/chat/native.hpp"
#include "runtime/json/object.hpp"

#include <cstdint>
#include <vector>

namespace skep::actors {

namespace {

using elements = std::vector<std::string_view>;

elements list_of(std::string_view array) {
  return json::elements_of(array).value_or(elements{});
}

/// Writes the events of one response.
class player {
public:
  explicit player(std::string_view response) : response_(response), members_(response) {}

  std::string play() {
    auto begun = json::object_with(response_, "status", R"("in_progress")");
    for (const auto* name : {"output", "usage", "completed_at"})
      if (members_.has(name))
        begun = json::object_with(begun, name, std::string_view{name} == "output" ? "[]" : "null");
    for (const auto* type : {"response.created", "response.in_progress"})
      send(type, json::object_writer{}.raw("response", begun));
    for (const auto item : list_of(members_.at("output"))) {
      play_item(item);
      ++index_;
    }
    const auto state = members_.text("status");
    send("response." + (state.empty() ? "completed" : state),
         json::object_writer{}.raw("response", response_));
    return std::move(out_);
  }

private:
  /// `members` behind the type and the number.
  void send(const std::string& type, const json::object_writer& members) {
    json::object_writer event;
    event.text("type", type).number("sequence_number", sequence_++);
    const auto text = members.object();
    const json::object more{text};
    for (const auto& each : more.members())
      event.raw(each.name, each.value);
    out_ += native_frame(type, event.object());
  }

  json::object_writer place() const {
    json::object_writer where;
    return where.raw("item_id", item_id_).number("output_index", index_);
  }
  json::object_writer place(std::string_view part, std::size_t number) const {
    return place().number(part, number);
  }

  void play_item(std::string_view raw) {
    const json::object item{raw};
    const auto type = item.text("type");
    item_id_ = item.at("id");
    auto begun = item.has("status") ? json::object_with(raw, "status", R"("in_progress")")
                                    : std::string{raw};
    for (const auto* list : {"content", "summary"})
      if (item.at(list).starts_with('['))
        begun = json::object_with(begun, list, "[]");
    for (const auto* text : {"arguments", "input"})
      if (item.at(text).starts_with('"'))
        begun = json::object_with(begun, text, R"("")");
    send("response.output_item.added",
         json::object_writer{}.number("output_index", index_).raw("item", begun));
    play_parts(item);
    if (type == "function_call")
      play_text("response.function_call_arguments", place(), "arguments", item.at("arguments"));
    else if (type == "custom_tool_call")
      play_text("response.custom_tool_call_input", place(), "input", item.at("input"));
    send("response.output_item.done",
         json::object_writer{}.number("output_index", index_).raw("item", raw));
  }

  void play_parts(const json::object& item) {
    std::size_t number = 0;
    for (const auto part : list_of(item.at("summary")))
      play_part(part, "response.reasoning_summary_part", place("summary_index", number++));
    number = 0;
    for (const auto part : list_of(item.at("content")))
      play_part(part, "response.content_part", place("content_index", number++));
  }

  void play_part(std::string_view raw, const std::string& events,
                 const json::object_writer& where) {
    const json::object part{raw};
    const auto type = part.text("type");
    const auto* member = type == "refusal" ? "refusal" : "text";
    auto empty = part.has(member) ? json::object_with(raw, member, R"("")") : std::string{raw};
    if (part.at("annotations").starts_with('['))
      empty = json::object_with(empty, "annotations", "[]");
    auto added = where;
    send(events + ".added", added.raw("part", empty));
    const auto* stem = type == "refusal"          ? "response.refusal"
                       : type == "summary_text"   ? "response.reasoning_summary_text"
                       : type == "reasoning_text" ? "response.reasoning_text"
                                                  : "response.output_text";
    if (part.has(member))
      play_text(stem, where, member, part.at(member));
    auto done = where;
    send(events + ".done", done.raw("part", raw));
  }

  void play_text(const std::string& events, const json::object_writer& where, const char* member,
                 std::string_view text) {
    auto delta = where;
    send(events + ".delta", delta.raw("delta", text));
    auto done = where;
    send(events + ".done", done.raw(member, text));
  }

  const std::string_view response_;
  const json::object members_;
  std::string out_;
  std::uint64_t sequence_ = 0;
  std::size_t index_ = 0;
  std::string_view item_id_;
};

} // namespace

std::string play_response(std::string_view response) {
  return player{response}.play();
}

} // namespace skep::actors
