#include "runtime/net/answer_shape.hpp"

#include "runtime/base/text.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace skep::net {

namespace {

/// A list may be spread over several fields of one name.
std::string joined(const http_headers& headers, std::string_view name) {
  std::string all;
  for (std::size_t i = 0; i < headers.size(); ++i)
    if (equal_ignoring_case(headers.name(i), name)) {
      if (!all.empty())
        all += ',';
      all += headers.value(i);
    }
  return all;
}

http_headers without(const http_headers& headers, std::initializer_list<std::string_view> names) {
  http_headers kept;
  for (std::size_t i = 0; i < headers.size(); ++i)
    if (std::none_of(names.begin(), names.end(), [&](std::string_view name) {
          return equal_ignoring_case(headers.name(i), name);
        }))
      kept.add(headers.name(i), headers.value(i));
  return kept;
}

/// W/"x" and "x" are the same to the weak comparison.
std::string_view opaque_part(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

bool may_be_packed(const http_response& response) {
  const auto has_body = response.status >= 200 && response.status != 204 && response.status != 304
                        && response.status != 206;
  return has_body && !response.headers.contains("content-encoding")
         && response.headers.get("cache-control").find("no-transform") == std::string_view::npos
         && is_compressible(response.headers.get("content-type"));
}

} // namespace

answer_wishes read_wishes(const http_request& request, bool compression) {
  answer_wishes wishes;
  if (compression && request.headers.contains("accept-encoding"))
    wishes.coding = negotiate_coding(joined(request.headers, "accept-encoding"));
  if (request.method == "GET" || request.method == "HEAD")
    wishes.if_none_match = joined(request.headers, "if-none-match");
  return wishes;
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) {
  if (etag.empty())
    return false;
  if (trimmed(if_none_match) == "*")
    return true;
  const auto wanted = opaque_part(etag);
  // Tags are quoted and may hold commas, so the list is read tag by tag.
  for (std::size_t at = 0; at < if_none_match.size();) {
    const auto begin = if_none_match.find('"', at);
    const auto end = begin == std::string_view::npos ? begin : if_none_match.find('"', begin + 1);
    if (end == std::string_view::npos)
      return false;
    if (if_none_match.substr(begin, end + 1 - begin) == wanted)
      return true;
    at = end + 1;
  }
  return false;
}

void shape_answer(http_response& response, const answer_wishes& wishes,
                  const compression_config& rules, compression_counters& counters) {
  const bool negotiable = rules.enabled && may_be_packed(response);
  if (negotiable)
    response.headers.add("vary", "accept-encoding");
  if (response.status == 200 && !wishes.if_none_match.empty()
      && matches_etag(wishes.if_none_match, response.headers.get("etag"))) {
    response.status = 304;
    response.headers = without(response.headers, {"content-type"});
    response.body.clear();
    response.shared_from = 0;
    return;
  }
  const auto size = response.body.size();
  const bool wanted = wishes.coding.coding != content_coding::identity && size > 0
                      && (size > rules.min_bytes || wishes.coding.identity_refused);
  if (!negotiable || !wanted || size > rules.max_bytes)
    return;
  auto packed = compress(response.body, wishes.coding.coding, rules.level);
  if (!packed || (packed->size() >= size && !wishes.coding.identity_refused))
    return;
  counters.answers.fetch_add(1, std::memory_order_relaxed);
  counters.plain_bytes.fetch_add(size, std::memory_order_relaxed);
  counters.packed_bytes.fetch_add(packed->size(), std::memory_order_relaxed);
  response.body = std::move(*packed);
  response.shared_from = 0; // Each is packed with a beginning of its own.
  response.headers.add("content-encoding", word_of(wishes.coding.coding));
}

} // namespace skep::net
