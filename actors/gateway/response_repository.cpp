#include "actors/gateway/response_repository.hpp"

#include "apis/openai/native_response.hpp"
#include "messages/size.hpp"
#include "runtime/base/log.hpp"
#include "runtime/json/object.hpp"
#include "runtime/telemetry/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::string_view prefix = "resp_";
constexpr std::string_view kind = "response";
constexpr std::size_t uuid_digits = 32;
constexpr std::size_t node_digits = 16;
constexpr std::chrono::milliseconds node_retry_after{1'000};

/// The node_id() in a response's id; nothing when it is none of ours.
std::optional<std::uint64_t> node_in(std::string_view id) {
  if (id.size() != prefix.size() + uuid_digits + node_digits || !id.starts_with(prefix))
    return std::nullopt;
  const auto digits = id.substr(id.size() - node_digits);
  std::uint64_t node = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), node, 16);
  const bool all = read.ec == std::errc{} && read.ptr == digits.data() + digits.size();
  return all ? std::optional{node} : std::nullopt;
}

std::optional<kept_response> read_kept(const std::string& value) {
  const json::object whole{value};
  if (!whole.has("response"))
    return std::nullopt;
  kept_response made;
  made.object = whole.at("response");
  for (const auto item :
       json::elements_of(whole.at("input")).value_or(std::vector<std::string_view>{}))
    made.input.emplace_back(item);
  made.provider = whole.text("provider");
  made.provider_id = whole.text("provider_id");
  return made;
}

const char* const unkept_help
  = "Responses that were answered but not kept: over responses_value_bytes, or the store failed.";

} // namespace

/// An answer on its way through this gateway.
struct response_repository::relayed {
  relayed(rt::responder o, wish w) : out(std::move(o)), what(std::move(w)), writer(what.head) {
    for (const auto& item : what.input)
      bytes += item.size();
  }

  /// False: it is too large to be kept, and no longer put together.
  bool take(std::size_t more, std::size_t most) {
    bytes += more;
    fits = fits && bytes <= most;
    return fits && what.keep;
  }

  /// Anything that came in the API's own words.
  void note(const msg::native_text& given, const msg::answer_origin& from) {
    if (!from.provider.empty())
      provider = from.provider;
    native = native || given.is(msg::native_api::responses);
    if (!native)
      return;
    if (const auto whole = response_in(given.text); !whole.empty())
      response = whole;
  }

  rt::responder out;
  wish what;
  response_writer writer;
  // The provider's own response, JSON, and who it is; empty: there is none.
  std::string response;
  std::string provider;
  bool native = false; // Its own words are passed on; nothing has to be put together.
  rt::request_key request = 0;
  std::size_t bytes = 0;
  bool fits = true;
};

response_repository::response_repository(rt::bounded_actor& owner, rt::cluster_port& cluster,
                                         const gateway_config& rules)
  : owner_(owner), cluster_(cluster), rules_(rules),
    kept_(owner.env().metrics().counter("skep_gateway_responses_kept_total",
                                        "Responses that GET /v1/responses/{id} finds.")),
    too_large_(owner.env().metrics().counter("skep_gateway_responses_unkept_total", unkept_help,
                                             {{"reason", "too_large"}})),
    failed_(owner.env().metrics().counter("skep_gateway_responses_unkept_total", unkept_help,
                                          {{"reason", "failed"}})) {}

// -- ids and stores -------------------------------------------------------------------------------

std::string response_repository::make_id() const {
  auto uuid = to_string(make_request_id());
  std::erase(uuid, '-');
  return fmt::format("{}{}{:016x}", prefix, uuid, rt::node_id(cluster_.self()));
}

caf::actor response_repository::own_store() const {
  return owner_.env().reach(owner_.env().directory().find("store"));
}

/// The store of the node in the id; null when that node is not here.
caf::actor response_repository::store_of(std::string_view id) const {
  const auto node = node_in(id);
  // A node without a cluster has one store, whatever the node was called when it was filled.
  if (!cluster_.clustered() || node == rt::node_id(cluster_.self()))
    return own_store();
  const auto state = cluster_.state();
  const auto* member = node && state->view ? state->member_of(*node) : nullptr;
  return member != nullptr ? cluster_.remote(member->name, "store") : caf::actor{};
}

namespace {

/// What clients hear of a store in trouble; its own words, which name its file, are in the log.
failure of_store(const failure& why) {
  const bool trouble = why.code == errc::transport_failed || why.code == errc::unavailable
                       || why.code == errc::malformed;
  return trouble ? failure{errc::unavailable, "what is kept of responses cannot be reached",
                           why.retry_after}
                 : why;
}

} // namespace

skep::context response_repository::in_time(skep::context context) const {
  context.deadline = std::min(context.deadline, owner_.now() + rules_.responses_timeout);
  return context;
}

void response_repository::find(const skep::context& context, const std::string& tenant,
                               const std::string& id,
                               std::function<void(expected<std::optional<kept_response>>)> then) {
  if (!node_in(id))
    return then(std::optional<kept_response>{});
  const auto store = store_of(id);
  if (!store)
    return then(
      fail(errc::node_down, "the node that keeps this response is not here", node_retry_after));
  owner_.ask(store, in_time(context), msg::store_get_request{{tenant, std::string{kind}, id}},
             [then = std::move(then)](const rt::answer& got) {
               const auto* reply = got.get<msg::store_get_reply>();
               if (reply == nullptr)
                 return then(fail(of_store(got.why)));
               auto read = reply->found ? read_kept(reply->value) : std::nullopt;
               if (reply->found && !read)
                 return then(fail(errc::malformed, "what is kept under this id is no response"));
               then(std::move(read));
             });
}

/// References that are being replaced.
struct response_repository::lookup {
  skep::context context;
  std::string tenant;
  std::vector<std::string> items;
  std::function<void(expected<std::vector<std::string>>)> then;
  std::set<std::string> foreign{}; // Ids that nobody here knows.
};

namespace {

/// The id an item refers to; empty when it is an item itself.
std::string referred(const std::string& raw) {
  const json::object item{raw};
  const auto type = item.text("type");
  return type == "item_reference" || (type.empty() && !item.has("role")) ? item.text("id")
                                                                         : std::string{};
}

/// The id of the response that has an item of this id: its digits follow the item's prefix.
std::string response_of(std::string_view item_id) {
  const auto digits = item_id.substr(std::min(item_id.find('_'), item_id.size() - 1) + 1);
  return std::string{prefix} + std::string{digits.substr(0, uuid_digits + node_digits)};
}

/// Replaces what refers to items of this response's; false: `id` is none of them.
bool replace_references(std::vector<std::string>& items, const kept_response& kept,
                        const std::string& id) {
  std::map<std::string, std::string> known;
  const json::object response{kept.object};
  for (const auto item :
       json::elements_of(response.at("output")).value_or(std::vector<std::string_view>{}))
    known.emplace(json::object{item}.text("id"), item);
  for (const auto& item : kept.input)
    known.emplace(json::object{item}.text("id"), item);
  for (auto& item : items)
    if (const auto at = known.find(referred(item)); at != known.end() && !at->first.empty())
      item = at->second;
  return known.contains(id);
}

} // namespace

void response_repository::look_up(const skep::context& context, const std::string& tenant,
                                  std::vector<std::string> items,
                                  std::function<void(expected<std::vector<std::string>>)> then) {
  look_up(std::make_shared<lookup>(lookup{context, tenant, std::move(items), std::move(then)}));
}

/// The last reference first: its response has the conversation before it, and mostly all the
/// others.
void response_repository::look_up(const std::shared_ptr<lookup>& l) {
  const auto last = std::find_if(l->items.rbegin(), l->items.rend(), [&](const auto& item) {
    const auto id = referred(item);
    return !id.empty() && !l->foreign.contains(id) && node_in(response_of(id));
  });
  if (last == l->items.rend())
    return l->then(std::move(l->items));
  const auto id = referred(*last);
  find(l->context, l->tenant, response_of(id), [this, l, id](auto found) {
    // OpenAI's ids look like ours, and name a node that nobody has heard of.
    if (!found && found.error().code != errc::node_down)
      return l->then(tl::make_unexpected(found.error()));
    if (!found || !*found || !replace_references(l->items, **found, id))
      l->foreign.insert(id);
    look_up(l);
  });
}

void response_repository::forget(const skep::context& context, const std::string& tenant,
                                 const std::string& id, std::function<void(expected<bool>)> then) {
  if (!node_in(id))
    return then(false);
  const auto store = store_of(id);
  if (!store)
    return then(
      fail(errc::node_down, "the node that keeps this response is not here", node_retry_after));
  msg::store_erase_request erase;
  erase.key = {tenant, std::string{kind}, id};
  owner_.ask(store, in_time(context), std::move(erase),
             [then = std::move(then)](const rt::answer& got) {
               const auto* reply = got.get<msg::store_put_reply>();
               if (reply == nullptr)
                 return then(fail(got.why));
               then(reply->done);
             });
}

// -- answers on their way -------------------------------------------------------------------------

void response_repository::relay(rt::responder out, const caf::actor& to, skep::context context,
                                msg::chat_request request, wish what) {
  const auto window = out.window();
  const auto r = std::make_shared<relayed>(std::move(out), std::move(what));
  // The call holds these functions, and the answer's holder the call.
  r->out.on_cancel([this, weak = std::weak_ptr{r}] {
    if (const auto open = weak.lock())
      owner_.give_up(open->request);
  });
  r->out.on_credit([this, weak = std::weak_ptr{r}](std::uint64_t bytes) {
    if (const auto open = weak.lock())
      owner_.grant(open->request, bytes);
  });
  r->request = owner_.ask(
    to, std::move(context), std::move(request), [this, r](const rt::answer& got) { heard(r, got); },
    window);
}

/// An agent that has read a part of the request only may not answer for all of it.
bool response_repository::answers_a_part(relayed& r, const rt::answer& got) {
  const auto* open = got.get<msg::chat_open>();
  const auto* whole = got.get<msg::chat_reply>();
  const auto* native = open != nullptr    ? &open->native
                       : whole != nullptr ? &whole->native
                                          : nullptr;
  if (r.what.untyped.empty() || native == nullptr || native->is(msg::native_api::responses))
    return false;
  owner_.give_up(r.request);
  r.out.fail(failure{errc::bad_request, r.what.untyped});
  return true;
}

void response_repository::heard(const std::shared_ptr<relayed>& r, const rt::answer& got) {
  if (answers_a_part(*r, got))
    return;
  if (const auto* open = got.get<msg::chat_open>()) {
    r->note(open->native, open->origin);
    if (!r->native)
      r->writer.begin(*open);
    r->out.open(*open);
  } else if (const auto* piece = got.get<msg::chat_chunk>()) {
    if (r->take(bytes_of(*piece), rules_.responses_value_max)) {
      r->note(piece->native, {});
      if (!r->native)
        r->writer.add(*piece);
    }
    r->out.chunk(*piece);
  } else if (const auto* end = got.get<msg::chat_end>()) {
    if (r->take(0, rules_.responses_value_max))
      r->writer.end(end->usage);
    finish<msg::chat_end>(r, *end,
                          [](relayed& to, msg::chat_end last) { to.out.end(std::move(last)); });
  } else if (const auto* whole = got.get<msg::chat_reply>()) {
    if (r->take(bytes_of(*whole), rules_.responses_value_max)) {
      r->note(whole->native, whole->origin);
      if (!r->native)
        r->writer.take(*whole);
    }
    finish<msg::chat_reply>(
      r, *whole, [](relayed& to, msg::chat_reply last) { to.out.reply(std::move(last)); });
  } else {
    r->out.fail(got.what == rt::answer::kind::failed
                  ? got.why
                  : failure{errc::unexpected_message, "the agent's answer is no chat"});
    if (!got.last())
      owner_.give_up(r->request);
  }
}

template <class Last>
void response_repository::finish(const std::shared_ptr<relayed>& r, Last last,
                                 void (*deliver)(relayed&, Last)) {
  keep(*r, [r, last = std::move(last), deliver] { deliver(*r, last); });
}

/// What is kept of a response; nothing of one that is too large.
std::string response_repository::value_of(const relayed& r) const {
  if (!r.fits)
    return {};
  json::object_writer value;
  if (r.response.empty())
    value.raw("response", r.writer.object());
  else
    value.raw("response", with_names(r.response, {r.what.head.id, r.what.head.previous}))
      .text("provider", r.provider)
      .text("provider_id", json::object{r.response}.text("id"));
  return value.raw("input", json::array_of(r.what.input)).object();
}

/// Calls `then` when the response is kept, or cannot be.
void response_repository::keep(relayed& r, std::function<void()> then) {
  const bool lost = r.native && r.response.empty(); // Its end never said what it was.
  if (!r.what.keep || (lost && r.fits))
    return then();
  msg::store_put_request put{{r.what.tenant, std::string{kind}, r.what.head.id},
                             value_of(r),
                             static_cast<std::uint64_t>(rules_.responses_ttl.count())};
  put.make_room = true;
  if (!r.fits || put.value.size() > rules_.responses_value_max) {
    too_large_.inc();
    return then();
  }
  const auto store = own_store();
  if (!store) {
    failed_.inc();
    return then();
  }
  skep::context context;
  context.tenant = r.what.tenant;
  context.deadline = owner_.now() + rules_.responses_timeout;
  owner_.ask(store, std::move(context), std::move(put),
             [this, then = std::move(then)](const rt::answer& got) {
               const bool done = got.get<msg::store_put_reply>() != nullptr;
               (done ? kept_ : failed_).inc();
               if (!done)
                 log::warn("a response is not kept: {}", to_string(got.why));
               then();
             });
}

} // namespace skep::actors
