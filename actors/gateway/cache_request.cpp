#include "actors/gateway/cache_request.hpp"

#include "apis/chat/cache_group.hpp"
#include "runtime/json/check.hpp"

#include <nlohmann/json.hpp>

namespace skep::actors {

namespace {

expected<void> read_member(const std::string& name, const nlohmann::json& value,
                           cache_clear_wish& into) {
  if (name != "agent" && name != "key")
    return fail(errc::bad_request, "cache/clear knows no member \"" + name
                                     + "\": it is {}, {\"agent\": NAME} or {\"key\": HEX}");
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    return fail(errc::bad_request, name + " must be a text that is not empty");
  const auto& text = value.get_ref<const std::string&>();
  if (name == "agent") {
    into.agent = text;
    return {};
  }
  into.key = parse_key(text);
  if (!into.key)
    return fail(errc::bad_request, "key must be 32 hexadecimal digits, as x-skep-cache-key has "
                                   "them");
  return {};
}

} // namespace

expected<cache_clear_wish> read_cache_clear(std::string_view body) {
  cache_clear_wish wish;
  if (body.empty())
    return wish;
  if (auto sane = json::check(body); !sane)
    return fail(errc::bad_request, "the body is no JSON we can read: " + sane.error().detail);
  const auto read = nlohmann::json::parse(body.begin(), body.end(), nullptr, false);
  if (!read.is_object())
    return fail(errc::bad_request,
                "the body must be empty or a JSON object: {}, {\"agent\": NAME} or {\"key\": HEX}");
  for (const auto& [name, value] : read.items())
    if (auto done = read_member(name, value, wish); !done)
      return fail(done.error());
  if (!wish.agent.empty() && wish.key)
    return fail(errc::bad_request, "agent and key do not go together: clear one, then the other");
  return wish;
}

} // namespace skep::actors
