#include "apis/openai/foreign_parts.hpp"

#include "runtime/json/object.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace skep::actors {

namespace {

using parts = std::vector<std::string>;

constexpr std::string_view document = R"("document")";
constexpr std::string_view search_result = R"("search_result")";

std::string text_part(std::string_view text) {
  return json::object_writer{}.raw("type", R"("text")").text("text", text).object();
}

/// The texts of a list of blocks, or the text that stands in its place.
std::string texts_of(std::string_view content) {
  if (auto text = json::string_of(content))
    return std::move(*text);
  std::string all;
  for (const auto raw : json::elements_of(content).value_or(std::vector<std::string_view>{}))
    if (const auto text = json::object{raw}.text("text"); !text.empty())
      all.append(all.empty() ? "" : "\n").append(text);
  return all;
}

/// The lines that name a text's origin, a blank line, and the text.
std::string titled(std::initializer_list<std::string> lines, const std::string& text) {
  std::string head;
  for (const auto& line : lines)
    if (!line.empty())
      head += line + "\n";
  return text_part(head.empty() ? text : head + "\n" + text);
}

/// Chat completions know no file by its address; servers that take one take it as the data.
std::string document_part(std::string_view raw) {
  const json::object block{raw};
  const json::object source{block.at("source")};
  const auto type = source.text("type");
  const auto title = block.text("title");
  if (type == "text" || type == "content")
    return titled({title, block.text("context")},
                  texts_of(source.at(type == "text" ? "data" : "content")));
  json::object_writer file;
  if (type == "base64")
    file.text("filename", title.empty() ? "document.pdf" : title)
      .text("file_data", "data:" + source.text("media_type") + ";base64," + source.text("data"));
  else if (type == "url")
    file.raw("filename", block.at("title")).raw("file_data", source.at("url"));
  else if (type == "file")
    file.raw("file_id", source.at("file_id"));
  else
    return std::string{raw};
  return json::object_writer{}.raw("type", R"("file")").raw("file", file.object()).object();
}

std::string openai_part(std::string_view raw) {
  const json::object part{raw};
  const auto type = part.text("type");
  if (type == "document")
    return document_part(raw);
  if (type == "search_result")
    return titled({part.text("title"), part.text("source")}, texts_of(part.at("content")));
  return std::string{raw};
}

bool is_foreign(const msg::chat_message& message) {
  const auto has
    = [&](std::string_view name) { return message.rest.find(name) != std::string::npos; };
  return has(document) || has(search_result)
         || (message.role == "tool" && (has(R"("image_url")") || has(R"("file")")));
}

parts openai_parts(std::string_view list) {
  const auto elements = json::elements_of(list);
  parts read;
  if (elements)
    std::transform(elements->begin(), elements->end(), std::back_inserter(read), openai_part);
  return read;
}

void set_content(msg::chat_message& message, const std::string& content) {
  auto members = json::members_of(message.rest).value_or(std::vector<json::member>{});
  for (auto& each : members)
    if (each.name == "content")
      each.value = content;
  message.rest = json::object_of(members);
}

/// Takes out of `found` what a tool's message cannot hold; where nothing is left, words say so.
parts taken_out(parts& found) {
  const auto is_text
    = [](const std::string& part) { return json::object{part}.text("type") == "text"; };
  const auto others = std::stable_partition(found.begin(), found.end(), is_text);
  parts taken{std::make_move_iterator(others), std::make_move_iterator(found.end())};
  found.erase(others, found.end());
  if (found.empty())
    found.push_back(text_part("The result follows in the next message of the user."));
  return taken;
}

} // namespace

bool has_foreign_parts(const std::vector<msg::chat_message>& messages) {
  return std::any_of(messages.begin(), messages.end(), is_foreign);
}

std::vector<msg::chat_message> in_openai_parts(std::vector<msg::chat_message> messages) {
  std::vector<msg::chat_message> read;
  parts returned; // By the tools of the turn at hand.
  const auto show_returned = [&] {
    if (returned.empty())
      return;
    returned.insert(returned.begin(), text_part("What the tools returned beside text:"));
    read.push_back({"user", {}, R"({"content":)" + json::array_of(returned) + "}", {}});
    returned.clear();
  };
  for (auto& message : messages) {
    if (message.role != "tool")
      show_returned();
    auto found
      = is_foreign(message) ? openai_parts(json::object{message.rest}.at("content")) : parts{};
    if (message.role == "tool" && !found.empty()) {
      auto taken = taken_out(found);
      std::move(taken.begin(), taken.end(), std::back_inserter(returned));
    }
    if (!found.empty())
      set_content(message, json::array_of(found));
    read.push_back(std::move(message));
  }
  show_returned();
  return read;
}

} // namespace skep::actors
