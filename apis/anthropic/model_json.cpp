#include "apis/anthropic/model_json.hpp"

#include "runtime/json/object.hpp"
#include "runtime/json/splice.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

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

/// Where the page begins, and where it ends.
std::pair<std::size_t, std::size_t> bounds_of(const std::vector<msg::model_entry>& models,
                                              const model_page& page) {
  const auto place_of = [&](const std::string& id) {
    return static_cast<std::size_t>(
      std::find_if(models.begin(), models.end(), [&](const auto& each) { return each.id == id; })
      - models.begin());
  };
  if (const auto end = place_of(page.before_id); end < models.size())
    return {end - std::min(end, page.limit), end};
  const auto after = place_of(page.after_id);
  const auto first = after < models.size() ? after + 1 : 0;
  return {first, first + std::min(page.limit, models.size() - first)};
}

} // namespace

std::string write_anthropic_model(const msg::model_entry& model) {
  const auto name = json::object{model.rest}.text("display_name");
  auto out = json::object_writer{}
               .text("type", "model")
               .text("id", model.id)
               .text("display_name", name.empty() ? model.id : name)
               .text("created_at", date_of(model.created))
               .object();
  out.pop_back();
  json::splice_but(out, model.rest, {"type", "id", "display_name", "created_at"});
  return out + "}";
}

std::string write_anthropic_models(const std::vector<msg::model_entry>& models,
                                   const model_page& page) {
  const auto [first, end] = bounds_of(models, page);
  std::vector<std::string> written;
  for (auto n = first; n < end; ++n)
    written.push_back(write_anthropic_model(models[n]));
  // Towards where the client reads on.
  const bool more = page.before_id.empty() ? end < models.size() : first > 0;
  json::object_writer list;
  list.raw("data", json::array_of(written))
    .raw("has_more", more ? "true" : "false")
    .raw("first_id", written.empty() ? "null" : json::quoted(models[first].id))
    .raw("last_id", written.empty() ? "null" : json::quoted(models[end - 1].id));
  return list.object();
}

} // namespace skep::actors
