#include "apis/openai/responses_parts.hpp"

#include "apis/openai/chat_json.hpp"
#include "runtime/json/object.hpp"

#include <vector>

namespace skep::actors {

std::string response_usage(const msg::token_usage& usage) {
  const json::object rest{usage.rest};
  const json::object details{rest.at("completion_tokens_details")};
  json::object_writer in;
  in.number("cached_tokens", usage.cached_prompt);
  json::object_writer out;
  out.number("reasoning_tokens", details.count("reasoning_tokens"));
  json::object_writer made;
  made.number("input_tokens", usage.prompt).raw("input_tokens_details", in.object());
  made.number("output_tokens", usage.completion).raw("output_tokens_details", out.object());
  return made.number("total_tokens", total_of(usage)).object();
}

std::string_view response_error_code(errc code) {
  switch (code) {
    case errc::rate_limited:
    case errc::quota_exhausted: return "rate_limit_exceeded";
    case errc::bad_request:
    case errc::context_overflow:
    case errc::content_filtered: return "invalid_prompt";
    default: return "server_error";
  }
}

std::string_view response_error_type(errc code) {
  const auto known = response_error_code(code);
  if (known == "rate_limit_exceeded")
    return "too_many_requests";
  return known == "invalid_prompt" ? "invalid_request_error" : known;
}

namespace {

/// The token's UTF-8 bytes as a list of numbers.
std::string bytes_of(const json::object& token) {
  std::vector<std::string> bytes;
  for (const char c : token.text("token"))
    bytes.push_back(std::to_string(static_cast<unsigned char>(c)));
  return json::array_of(bytes);
}

void write_token(json::object_writer& into, const json::object& token) {
  for (const auto& member : token.members())
    if (member.name != "bytes" && member.name != "top_logprobs")
      into.raw(member.name, member.value);
  const auto bytes = token.at("bytes");
  into.raw("bytes", bytes.starts_with('[') ? std::string{bytes} : bytes_of(token));
}

} // namespace

std::string whole_logprob(std::string_view raw) {
  const json::object token{raw};
  std::vector<std::string> top;
  for (const auto each :
       json::elements_of(token.at("top_logprobs")).value_or(std::vector<std::string_view>{})) {
    json::object_writer one;
    write_token(one, json::object{each});
    top.push_back(one.object());
  }
  json::object_writer made;
  write_token(made, token);
  return made.raw("top_logprobs", json::array_of(top)).object();
}

} // namespace skep::actors
