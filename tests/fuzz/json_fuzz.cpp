// Bodies of clients and providers: whatever comes, it is read or refused; and taking an object
// apart by our own scanner finds what a whole parser finds.
#include "apis/openai/chat_json.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "runtime/json/canonical.hpp"
#include "runtime/json/check.hpp"
#include "runtime/json/members.hpp"
#include "runtime/json/repair.hpp"
#include "runtime/json/string.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace skep;
using namespace skep::actors;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

/// The check takes what a whole parser takes, within its bounds; a text is read as the parser does.
void compare(std::string_view text) {
  const auto checked = json::check(text);
  // The parser takes a NUL for the end of the text, the check takes it for rubbish.
  const bool known
    = text.find('\0') == std::string_view::npos && nlohmann::json::accept(text.begin(), text.end());
  const bool over_bound = !checked && !checked.error().detail.starts_with("parse error");
  require(checked.has_value() == known || over_bound);
  const auto written = json::quoted(text);
  require(json::check(written).has_value());
  require(json::string_of(written).has_value());
  if (text.starts_with('"') && text.ends_with('"'))
    require(json::string_of(text).has_value() == known);
  if (known && text.starts_with('"') && text.ends_with('"'))
    require(json::string_of(text) == nlohmann::json::parse(text).get<std::string>());
}

/// What is JSON needs no repair, what was repaired needs none again, and a stream of texts gives
/// back as many as came.
void repair(std::string_view text) {
  const auto repaired = json::repaired(text);
  require(json::repaired(repaired) == repaired);
  require(!json::is_valid(text) || repaired == text);
  json::stream_repair stream;
  std::size_t ready = 0;
  for (int n = 0; n < 3; ++n)
    ready += stream.add(text).size();
  require(ready + (stream.finish() ? 1 : 0) == 3);
}

void take_apart(std::string_view text) {
  const auto members = json::members_of(text);
  json::elements_of(text);
  json::object_without(text, {"a", "model"});
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  // The parser takes a NUL for the end of the text, our scanner takes it for rubbish.
  if (parsed.is_discarded() || text.find('\0') != std::string_view::npos)
    return;
  // Numbers that differ in how they are written only are the parser's equals, and ours not always.
  const auto form = json::canonical_form(text);
  require(form.has_value());
  // A byte order mark is one only where a text begins.
  if (!text.starts_with("\xEF\xBB\xBF"))
    require(json::canonical_form(" " + std::string{text} + "\n") == form);
  require(members.has_value() == parsed.is_object());
  if (!parsed.is_object())
    return;
  require(members->size() == parsed.size());
  for (const auto& member : *members) {
    const auto known = parsed.find(member.name);
    require(known != parsed.end());
    require(nlohmann::json::parse(member.value, nullptr, false) == *known);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  compare(bytes);
  take_apart(bytes);
  repair(bytes);
  read_error(bytes);
  read_chat_body(bytes);
  read_chat_reply(bytes);
  chunk_reader{}.read(bytes);
  read_models(bytes);
  if (const auto body = read_embeddings_body(bytes))
    write_embeddings_request(body->request);
  if (const auto reply = read_embeddings_reply(bytes))
    for (const bool base64 : {false, true})
      write_embeddings_reply(*reply, base64);
  return 0;
}
