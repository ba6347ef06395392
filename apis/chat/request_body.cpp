#include "apis/chat/request_body.hpp"

#include "runtime/json/check.hpp"

#include <utility>

namespace skep::actors {

tl::unexpected<api_error> bad_request(std::string detail, std::string param) {
  return tl::make_unexpected(
    api_error{failure{errc::bad_request, std::move(detail)}, std::move(param)});
}

tl::unexpected<api_error> untyped(std::string detail, std::string param) {
  return tl::make_unexpected(
    api_error{failure{errc::bad_request, std::move(detail)}, std::move(param), true});
}

tl::expected<void, api_error> check_body(std::string_view text) {
  auto sane = json::check(text);
  if (sane)
    return {};
  auto why = std::move(sane.error());
  why.detail = "the body is no JSON we can read: " + why.detail;
  return tl::make_unexpected(api_error{std::move(why), {}});
}

tl::expected<json::object, api_error> read_object_body(std::string_view text) {
  if (auto sane = check_body(text); !sane)
    return tl::make_unexpected(sane.error());
  auto members = json::members_of(text);
  if (!members)
    return bad_request("the body must be a JSON object");
  return json::object{std::move(*members)};
}

tl::expected<bool, api_error> read_flag(const json::object& body, const char* name, bool missing) {
  const auto value = body.at(name);
  if (value.empty())
    return missing;
  if (value != "true" && value != "false")
    return bad_request(std::string{name} + " must be true or false", name);
  return value == "true";
}

tl::expected<stream_wish, api_error> read_stream(const json::object& body) {
  const auto stream = read_flag(body, "stream");
  if (!stream)
    return tl::make_unexpected(stream.error());
  const auto options = body.at("stream_options");
  if (options.empty())
    return stream_wish{*stream, false};
  if (!options.starts_with('{'))
    return bad_request("stream_options must be an object", "stream_options");
  if (!*stream)
    return bad_request("stream_options is only allowed with stream: true", "stream_options");
  return stream_wish{true, json::object{options}.at("include_usage") == "true"};
}

} // namespace skep::actors
