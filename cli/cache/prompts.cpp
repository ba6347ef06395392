#include "cli/cache/prompts.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli::cache {

namespace {

// The order of members is kept: a schema's order is the order in which a model answers.
using json = nlohmann::ordered_json;

json parsed(const std::string& line) {
  return json::parse(line, nullptr, false);
}

/// A member that may be missing, but if it is there must be a text.
expected<std::string> text_at(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end())
    return std::string{};
  if (!found->is_string())
    return fail(errc::bad_request, std::string{name} + " must be a text");
  return found->get<std::string>();
}

} // namespace

prompt_reader::prompt_reader(std::istream& from, std::string model)
  : from_(from), model_(std::move(model)) {}

/// False at the end of the file. What is too long is read past, not kept.
expected<bool> prompt_reader::read_line() {
  line_.clear();
  bool too_long = false;
  int each = from_.get();
  if (each == std::istream::traits_type::eof())
    return false;
  ++number_;
  for (; each != std::istream::traits_type::eof() && each != '\n'; each = from_.get()) {
    too_long = too_long || line_.size() >= line_max;
    if (!too_long)
      line_ += static_cast<char>(each);
  }
  if (too_long)
    return fail(errc::bad_request, "line " + std::to_string(number_) + ": longer than "
                                     + std::to_string(line_max) + " bytes");
  if (line_.ends_with('\r'))
    line_.pop_back();
  return true;
}

expected<std::string> prompt_reader::body_of(const std::string& text,
                                             const std::string& model) const {
  if (text.empty())
    return fail(errc::bad_request, "the prompt is empty");
  if (model.empty())
    return fail(errc::bad_request, "it names no model: say --model NAME");
  const json body{{"model", model}, {"messages", {{{"role", "user"}, {"content", text}}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

expected<std::string> prompt_reader::body_of_text() const {
  if (parsed(line_).is_object())
    return fail(errc::bad_request, "a JSON object, but the file began with plain text; it must be "
                                   "all one or all the other");
  return body_of(line_, model_);
}

expected<std::string> prompt_reader::body_of_json() const {
  auto read = parsed(line_);
  if (read.is_string())
    return body_of(read.get<std::string>(), model_);
  if (!read.is_object())
    return fail(errc::bad_request, "neither a JSON string nor a JSON object");
  if (read.contains("messages")) {
    if (!read.contains("model")) {
      if (model_.empty())
        return fail(errc::bad_request, "it names no model: say --model NAME");
      read["model"] = model_;
    }
    // A warmed entry serves streams, too; whole answers are less to read.
    read.erase("stream");
    read.erase("stream_options");
    return read.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  if (!read.contains("prompt"))
    return fail(errc::bad_request, "it has neither messages nor a prompt");
  const auto text = text_at(read, "prompt");
  const auto model = text_at(read, "model");
  if (!text || !model)
    return fail(text ? model.error() : text.error());
  return body_of(*text, model->empty() ? model_ : *model);
}

expected<std::optional<prompt>> prompt_reader::next() {
  do {
    const auto more = read_line();
    if (!more)
      return fail(more.error());
    if (!*more)
      return std::optional<prompt>{};
  } while (line_.find_first_not_of(" \t") == std::string::npos);
  if (format_ == format::unknown) {
    const auto first = parsed(line_);
    format_ = first.is_string() || first.is_object() ? format::json : format::text;
  }
  auto body = format_ == format::json ? body_of_json() : body_of_text();
  if (!body)
    return fail(errc::bad_request, "line " + std::to_string(number_) + ": " + body.error().detail);
  return std::optional{prompt{number_, std::move(*body)}};
}

} // namespace skep::cli::cache
