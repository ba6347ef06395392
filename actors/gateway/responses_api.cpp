// The gateway's /v1/responses: translated into a chat, relayed, and kept (response_repository.hpp).
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/http_fields.hpp"
#include "actors/gateway/native_request.hpp"
#include "apis/openai/responses_format.hpp"
#include "apis/openai/responses_json.hpp"
#include "runtime/base/wall_clock.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::size_t items_default = 20;
constexpr std::size_t items_max = 100;

net::http_response unknown(const std::string& id) {
  return refusal(404, "there is no response \"" + id + "\"", "response_not_found", "response_id");
}

/// Items get ids that name their response and their place in it.
std::vector<std::string> shown(std::vector<std::string> items, const std::string& id) {
  const auto hex = id.substr(id.find('_') + 1);
  for (std::size_t n = 0; n < items.size(); ++n)
    items[n] = shown_item(items[n], "in_" + hex + std::to_string(n));
  return items;
}

/// A page of GET /v1/responses/{id}/input_items: newest first unless order=asc, behind `after`.
std::string item_page(std::vector<std::string> items, std::string_view query) {
  if (query_value(query, "order") != "asc")
    std::reverse(items.begin(), items.end());
  const auto id_of = [](const std::string& item) { return json::object{item}.text("id"); };
  if (const auto after = query_value(query, "after"); !after.empty()) {
    const auto at = std::find_if(items.begin(), items.end(),
                                 [&](const auto& item) { return id_of(item) == after; });
    items.erase(items.begin(), at == items.end() ? at : at + 1);
  }
  const auto asked = query_value(query, "limit");
  auto limit = items_default;
  std::from_chars(asked.data(), asked.data() + asked.size(), limit);
  limit = std::clamp<std::size_t>(limit, 1, items_max);
  const bool more = items.size() > limit;
  items.resize(std::min(items.size(), limit));
  const auto id_text
    = [&](bool first) { return json::quoted(id_of(first ? items.front() : items.back())); };
  json::object_writer page;
  page.text("object", "list").raw("data", json::array_of(items));
  page.raw("first_id", items.empty() ? "null" : id_text(true));
  page.raw("last_id", items.empty() ? "null" : id_text(false));
  return page.raw("has_more", more ? "true" : "false").object();
}

/// The conversation so far: what was asked, and what the response said.
std::vector<std::string> continued(const kept_response& before) {
  auto items = before.input;
  const json::object response{before.object};
  for (const auto item :
       json::elements_of(response.at("output")).value_or(std::vector<std::string_view>{}))
    items.emplace_back(item);
  return items;
}

/// For providers that have the API: the request as it came, which goes on from a response under the
/// name that its provider knows. Nothing when it goes on from one that no provider knows, or
/// parsers may read different things of it.
std::optional<msg::native_request> as_it_came(net::http_request& from,
                                              const std::optional<kept_response>& before) {
  constexpr std::string_view previous = "previous_response_id";
  if (before && before->provider.empty())
    return std::nullopt;
  auto native = native_request_from(from, msg::native_api::responses);
  if (native && before) {
    native->provider = before->provider;
    native->body = json::object_with(native->body, previous, json::quoted(before->provider_id));
  }
  return native;
}

} // namespace

// -- POST -----------------------------------------------------------------------------------------

void gateway::create_response(const rt::call& c, const http_arrival& arrival) {
  auto order = read_response_body(arrival.request->body);
  if (!order) {
    arrival.client->blame(order.error().param);
    return refuse(c, order.error().why);
  }
  // A gateway that ends fails the call through the responder.
  auto waiting = std::make_shared<rt::responder>(take(c, true));
  const auto items = order->input;
  responses_.look_up(c.context, c.context.tenant, items,
                     [this, c, arrival, waiting, order = std::move(*order)](auto found) mutable {
                       if (!*waiting)
                         return; // The client has gone.
                       if (!found)
                         return refuse(c, found.error());
                       // What was kept here has names that no provider knows.
                       order.only_here = *found != order.input;
                       order.input = std::move(*found);
                       continue_response(c, arrival, std::move(order), waiting);
                     });
}

/// Goes on from the response before, if there is one.
void gateway::continue_response(const rt::call& c, const http_arrival& arrival,
                                response_order order,
                                const std::shared_ptr<rt::responder>& waiting) {
  if (order.previous.empty())
    return answer_response(c, arrival, std::move(order), {}, std::move(*waiting));
  const auto previous = order.previous;
  responses_.find(
    c.context, c.context.tenant, previous,
    [this, c, arrival, waiting, order = std::move(order)](auto found) {
      if (!*waiting)
        return; // The client has gone.
      if (!found)
        return refuse(c, found.error());
      if (!*found)
        return answer(c,
                      refusal(404, "there is no response \"" + order.previous + "\" to go on from",
                              "previous_response_not_found", "previous_response_id"));
      answer_response(c, arrival, order, *found, std::move(*waiting));
    });
}

void gateway::answer_response(const rt::call& c, const http_arrival& arrival, response_order order,
                              const std::optional<kept_response>& before, rt::responder out) {
  response_repository::wish wish;
  wish.head = {responses_.make_id(), unix_seconds(), order.model, std::move(order.echo),
               std::move(order.rules)};
  auto items = before ? continued(*before) : std::vector<std::string>{};
  const auto earlier = items.size();
  for (auto& item : shown(std::move(order.input), wish.head.id))
    items.push_back(std::move(item));
  auto messages = conversation_of(items, order.instructions, earlier, &order.untyped);
  if (!messages) {
    arrival.client->blame(messages.error().param);
    return refuse(c, messages.error().why);
  }
  // Where nothing of it can be typed: no agent is sent a conversation without a turn.
  if (messages->empty())
    messages->push_back({"user", {}, {}});
  msg::chat_request request;
  auto native = order.only_here ? std::nullopt : as_it_came(*arrival.request, before);
  if (native && before)
    wish.head.previous = order.previous;
  if (order.untyped) {
    arrival.client->blame(order.untyped->param);
    if (!native)
      return refuse(c, order.untyped->why);
    native->untyped = order.untyped->why.detail;
    wish.untyped = native->untyped;
  }
  add_native(std::move(native), request);
  request.model = std::move(order.model);
  request.messages = std::move(*messages);
  request.parameters = std::move(order.parameters);
  request.stream = order.stream;
  wish.tenant = c.context.tenant;
  wish.input = std::move(items);
  wish.keep = order.store;
  auto way = find_way(c, arrival, request);
  if (!way)
    return;
  arrival.client->passed_on(std::move(way->to.label), request.stream, responses_format(wish.head));
  responses_.relay(std::move(out), way->to.handle, std::move(way->context), std::move(request),
                   std::move(wish));
}

// -- GET and DELETE -------------------------------------------------------------------------------

void gateway::stored_response(const rt::call& c, const http_arrival& arrival) {
  const auto& request = *arrival.request;
  const bool items = arrival.what == endpoint::response_items;
  const auto id = response_id_of(request.path);
  auto waiting = std::make_shared<rt::responder>(take(c));
  if (request.method == "DELETE")
    return responses_.forget(
      c.context, c.context.tenant, id, [c, waiting, id](expected<bool> gone) {
        if (!gone)
          return waiting->fail(gone.error());
        json::object_writer body;
        body.text("id", id).text("object", "response").raw("deleted", "true");
        answer(c, *gone ? json_response(200, body.object()) : unknown(id));
      });
  if (query_value(request.query, "stream") == "true")
    return answer(c, refusal(400, "a response is not streamed again: ask without stream",
                             "unsupported_value", "stream"));
  responses_.find(c.context, c.context.tenant, id,
                  [c, waiting, id, items, query = request.query](auto found) {
                    if (!found)
                      return waiting->fail(found.error());
                    if (!*found)
                      return answer(c, unknown(id));
                    auto& kept = **found;
                    answer(c, json_response(200, items ? item_page(std::move(kept.input), query)
                                                       : std::move(kept.object)));
                  });
}

} // namespace skep::actors
