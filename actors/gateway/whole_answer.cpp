#include "actors/gateway/whole_answer.hpp"

#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/origin_headers.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace skep::actors {

namespace {

// Names stand at the beginning of a body.
constexpr std::size_t name_bytes_max = 4096;

std::string write(answer_format& format, const msg::chat_reply& reply, const msg::chat_open& head) {
  if (head.id == reply.id && head.model == reply.model && head.created == reply.created)
    return format.whole(reply);
  auto renamed = reply;
  renamed.id = head.id;
  renamed.model = head.model;
  renamed.created = head.created;
  return format.whole(renamed);
}

/// Behind the first `word` at the body's beginning; 0 when it is not there.
std::size_t end_of(std::string_view word, std::string_view body) {
  const auto at = body.substr(0, name_bytes_max).find(word);
  return word.empty() || at == std::string_view::npos ? 0 : at + word.size();
}

/// Where the answer's own id, time and model are over; a wrong place would only keep equal ends
/// from being found.
std::size_t end_of_name(std::string_view body, const msg::chat_open& head) {
  return std::max(end_of(head.id, body), end_of(head.model, body));
}

} // namespace

net::http_response whole_answer(answer_format& format, const msg::chat_reply& reply,
                                const msg::chat_open& head) {
  auto response = json_response(200, write(format, reply, head));
  response.shared_from = end_of_name(response.body, head);
  add_origin_headers(response.headers, reply.origin);
  return response;
}

} // namespace skep::actors
