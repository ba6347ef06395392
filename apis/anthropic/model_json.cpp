#include "apis/anthropic/model_json.hpp"

#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace skep::actors {

namespace {

/// RFC 3339; empty where the calendar ends.
std::string date_of(std::int64_t seconds) {
  const auto since_epoch = static_cast<std::time_t>(seconds);
  std::tm utc{};
  std::array<char, 32> text{};
  if (gmtime_r(&since_epoch, &utc) == nullptr)
    return {};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

} // namespace

std::string write_anthropic_model(const msg::model_entry& model) {
  return json::object_writer{}
    .text("type", "model")
    .text("id", model.id)
    .text("display_name", model.id)
    .text("created_at", date_of(model.created))
    .object();
}

std::string write_anthropic_models(const std::vector<msg::model_entry>& models,
                                   const model_page& page) {
  const auto found = std::find_if(models.begin(), models.end(),
                                  [&](const auto& each) { return each.id == page.after_id; });
  const auto first = found == models.end() ? models.begin() : found + 1;
  const auto count
    = std::min(page.limit, static_cast<std::size_t>(std::distance(first, models.end())));
  const auto last = first + static_cast<std::ptrdiff_t>(count);
  std::vector<std::string> written;
  std::transform(first, last, std::back_inserter(written), write_anthropic_model);
  json::object_writer list;
  list.raw("data", json::array_of(written))
    .raw("has_more", last == models.end() ? "false" : "true")
    .raw("first_id", count == 0 ? "null" : json::quoted(first->id))
    .raw("last_id", count == 0 ? "null" : json::quoted((last - 1)->id));
  return list.object();
}

} // namespace skep::actors
