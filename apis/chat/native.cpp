#include "apis/chat/native.hpp"

#include "apis/chat/native_body.hpp"
#include "apis/chat/sse_frame.hpp"
#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

constexpr std::string_view event_field = "event: ";
constexpr std::string_view data_field = "data: ";
constexpr std::string_view frame_end = "\n\n";
constexpr std::uint32_t not_implemented = 501;

} // namespace

bool speaks(const shared_list<msg::native_request>& native, msg::native_api api) {
  return !native.empty() && native.front().api == static_cast<std::uint8_t>(api);
}

const msg::native_request* native_request_of(const shared_list<msg::native_request>& native,
                                             msg::native_api api) {
  return speaks(native, api) && !native.front().body.empty() ? &native.front() : nullptr;
}

tl::expected<void, failure> may_be_read(const shared_list<msg::native_request>& native,
                                        msg::native_api api) {
  if (native.empty() || native.front().untyped.empty() || native_request_of(native, api) != nullptr)
    return {};
  failure why{errc::bad_request, native.front().untyped};
  why.status = not_implemented; // Another model's provider may.
  return tl::make_unexpected(std::move(why));
}

std::string with_id(std::string_view object, std::string_view id) {
  return json::object{object}.text("id") == id ? std::string{object}
                                               : json::object_with(object, "id", json::quoted(id));
}

std::string native_body_for(const msg::native_request& given, std::string_view model, bool stream) {
  return native_body_for(given, json::object{given.body}, model, stream, {});
}

std::string native_body_for(const msg::native_request& given, const json::object& sent,
                            std::string_view model, bool stream,
                            std::vector<json::member> changes) {
  const auto name = json::quoted(model);
  if (sent.text("model") != model)
    changes.push_back({"model", name});
  const std::string_view wanted = stream ? "true" : "false";
  if (sent.at("stream") != wanted && (stream || sent.has("stream")))
    changes.push_back({"stream", wanted});
  return changes.empty() ? given.body : json::object_with(given.body, sent.members(), changes);
}

std::string_view bare_json(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  text = trimmed(text, white_space);
  if (text.starts_with(mark))
    text.remove_prefix(mark.size());
  return trimmed(text, white_space);
}

std::string native_frame(std::string_view event, std::string_view data) {
  std::string frame;
  frame.reserve(event_field.size() + event.size() + data_field.size() + data.size() + 4);
  if (!event.empty())
    frame.append(event_field).append(event).append("\n");
  frame += data_field;
  const auto from = frame.size();
  frame += bare_json(data);
  end_frame(frame, from);
  return frame;
}

bool native_frames::next() {
  const auto end = left_.find(frame_end);
  if (end == std::string_view::npos)
    return false;
  frame_ = left_.substr(0, end + frame_end.size());
  left_.remove_prefix(frame_.size());
  event_ = {};
  auto rest = frame_.substr(0, end);
  if (rest.starts_with(event_field)) {
    const auto line = rest.substr(0, rest.find('\n'));
    event_ = line.substr(event_field.size());
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  data_ = rest.starts_with(data_field) ? rest.substr(data_field.size()) : std::string_view{};
  return true;
}

} // namespace skep::actors
