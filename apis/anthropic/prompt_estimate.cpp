#include "apis/anthropic/prompt_estimate.hpp"

#include "apis/chat/tool_calls.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

constexpr std::size_t token_bytes = 4;
// Of an image of the size the APIs scale to, or a page.
constexpr std::size_t embedded_tokens_max = 1500;

bool is_embedded(std::string_view part) {
  return part.find(";base64,") != std::string_view::npos
         || part.find(R"("base64")") != std::string_view::npos;
}

std::size_t bytes_of_rest(std::string_view rest) {
  const auto parts = json::elements_of(json::object{rest}.at("content"));
  if (!parts || !is_embedded(rest))
    return rest.size();
  std::size_t bytes = 0;
  for (const auto part : *parts)
    bytes
      += is_embedded(part) ? std::min(part.size(), embedded_tokens_max * token_bytes) : part.size();
  return bytes;
}

} // namespace

std::uint64_t estimated_prompt_tokens(const msg::chat_request& request) {
  std::size_t bytes = json::object{request.parameters}.at("tools").size();
  for (const auto& each : request.messages)
    bytes += each.content.size() + bytes_of_rest(each.rest) + text_bytes_of(each.tool_calls);
  return (bytes + token_bytes - 1) / token_bytes;
}

} // namespace skep::actors
