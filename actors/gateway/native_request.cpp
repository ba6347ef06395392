#include "actors/gateway/native_request.hpp"

#include "apis/chat/native.hpp"
#include "runtime/json/members.hpp"

#include <array>
#include <utility>

namespace skep::actors {

namespace {

struct passed_header {
  msg::native_api api;
  const char* name;
};

/// What else a client says (keys, cookies, host) is not for the provider.
constexpr std::array passed_headers{
  passed_header{msg::native_api::messages, "anthropic-version"},
  passed_header{msg::native_api::messages, "anthropic-beta"},
};

} // namespace

std::optional<msg::native_request> native_request_from(net::http_request& from,
                                                       msg::native_api api) {
  if (json::repeats_members(bare_json(from.body)))
    return std::nullopt;
  msg::native_request native;
  native.api = static_cast<std::uint8_t>(api);
  const auto bare = bare_json(from.body);
  native.body = bare.size() == from.body.size() ? std::move(from.body) : std::string{bare};
  for (std::size_t n = 0; n < from.headers.size(); ++n)
    for (const auto& each : passed_headers)
      if (each.api == api && net::equal_ignoring_case(from.headers.name(n), each.name)
          && !from.headers.value(n).empty())
        native.headers.push_back({each.name, std::string{from.headers.value(n)}});
  return native;
}

void add_native(std::optional<msg::native_request> native, msg::chat_request& to) {
  if (!native)
    return;
  std::vector<msg::native_request> one; // A list in braces would copy the body.
  one.push_back(std::move(*native));
  to.native = std::move(one);
}

} // namespace skep::actors
