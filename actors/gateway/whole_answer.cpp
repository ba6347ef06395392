#include "actors/gateway/whole_answer.hpp"

#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/origin_headers.hpp"

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

/// Where the answer's own id, time and model are over: the model is the last of them. 0 when it is
/// not found; a wrong place would only keep equal ends from being found.
std::size_t end_of_name(std::string_view body, std::string_view model) {
  const auto at = body.substr(0, name_bytes_max).find(model);
  return model.empty() || at == std::string_view::npos ? 0 : at + model.size();
}

} // namespace

net::http_response whole_answer(answer_format& format, const msg::chat_reply& reply,
                                const msg::chat_open& head) {
  auto response = json_response(200, write(format, reply, head));
  response.shared_from = end_of_name(response.body, head.model);
  add_origin_headers(response.headers, reply.origin);
  return response;
}

} // namespace skep::actors
