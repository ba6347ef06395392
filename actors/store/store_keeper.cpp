#include "actors/store/store_keeper.hpp"

#include <caf/mailbox_element.hpp>

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

/// What is kept of a caller's time for the answer's way back, or a fifth if that is less: the
/// caller's guard must hear that the disk is slow, not that its caller has gone.
constexpr duration answer_margin = 20ms;

/// No entry is asked to live longer: the sum with the time of day must not overflow.
constexpr std::uint64_t ttl_max_ms = std::uint64_t{100} * 366 * 86'400'000;

store::durable_key key_of(const msg::store_key& from) {
  return {from.tenant, from.kind, from.id};
}

template <class Request>
store::durable_condition condition_of(const Request& request) {
  store::durable_condition made;
  if (request.checked)
    made.version = request.version;
  made.fence = request.fence;
  return made;
}

store_answer written(const store::durable_outcome& outcome) {
  return msg::store_put_reply{outcome.done, outcome.version};
}

store_answer found(std::optional<store::durable_entry> entry) {
  msg::store_get_reply reply;
  if (entry)
    reply = {true, std::move(entry->bytes), entry->version,
             static_cast<std::uint64_t>(entry->left.count())};
  return reply;
}

store_answer listed(store::durable_page page) {
  msg::store_scan_reply reply;
  reply.more = page.more;
  for (auto& entry : page.entries)
    reply.entries.push_back({std::move(entry.id), std::move(entry.bytes), entry.version,
                             static_cast<std::uint64_t>(entry.left.count())});
  return reply;
}

void notify(const caf::strong_actor_ptr& who, store_event event) {
  const auto urgent = caf::make_message_id(caf::message_priority::high);
  who->enqueue(caf::make_mailbox_element(nullptr, urgent, {}, std::move(event)), nullptr);
}

} // namespace

store_keeper::store_keeper(caf::actor_config& config, rt::environment& env,
                           const rt::actor_kind& kind, store_keeper_config rules,
                           std::shared_ptr<store::durable_store> store)
  : bounded_actor(config, env, kind), rules_(rules), store_(std::move(store)) {}

caf::behavior store_keeper::make_behavior() {
  return {
    [this](const rt::call& c, const msg::store_put_request& request) { put(c, request); },
    [this](const rt::call& c, const msg::store_get_request& request) { get(c, request); },
    [this](const rt::call& c, const msg::store_erase_request& request) { erase(c, request); },
    [this](const rt::call& c, const msg::store_scan_request& request) { scan(c, request); },
    [this](const store_event& event) { ended(event); },
  };
}

// -- asking ---------------------------------------------------------------------------------------

void store_keeper::put(const rt::call& c, const msg::store_put_request& request) {
  const milliseconds ttl{std::min(request.ttl_ms, ttl_max_ms)};
  store_->put_if(key_of(request.key), {request.value, ttl, request.make_room},
                 condition_of(request), time_for(c), hearing<store::durable_outcome>(c, written));
}

void store_keeper::get(const rt::call& c, const msg::store_get_request& request) {
  store_->get(key_of(request.key), time_for(c),
              hearing<std::optional<store::durable_entry>>(c, found));
}

void store_keeper::erase(const rt::call& c, const msg::store_erase_request& request) {
  store_->erase(key_of(request.key), condition_of(request), time_for(c),
                hearing<store::durable_outcome>(c, written));
}

void store_keeper::scan(const rt::call& c, const msg::store_scan_request& request) {
  store_->scan({request.tenant, request.kind, request.after, request.entries_max,
                static_cast<std::size_t>(request.bytes_max)},
               time_for(c), hearing<store::durable_page>(c, listed));
}

duration store_keeper::time_for(const rt::call& c) const {
  if (c.context.deadline == time_point::max())
    return rules_.timeout;
  const auto left = c.context.deadline - now();
  return std::clamp<duration>(left - std::min<duration>(left / 5, answer_margin), 1ms,
                              rules_.timeout);
}

template <class T, class Make>
store::durable_callback<T> store_keeper::hearing(const rt::call& c, Make make) {
  const auto which = ++last_id_;
  // A call nobody waits for (any more) is served all the same.
  if (auto out = c.lease ? take(c) : rt::responder{}) {
    out.on_cancel([this, which] { jobs_.erase(which); });
    jobs_.emplace(which, std::move(out));
  }
  return [to = caf::strong_actor_ptr{ctrl()}, which, make](expected<T> result) {
    store_event event;
    event.job = which;
    if (result)
      event.result = make(std::move(*result));
    else
      event.result = fail(std::move(result.error()));
    notify(to, std::move(event));
  };
}

// -- answers --------------------------------------------------------------------------------------

void store_keeper::ended(const store_event& event) {
  if (event.job == 0)
    return swept(event.swept);
  auto job = jobs_.extract(event.job);
  if (job.empty())
    return; // Given up meanwhile.
  auto& out = job.mapped();
  if (!event.result)
    out.fail(event.result.error());
  else if (const auto* put = std::get_if<msg::store_put_reply>(&*event.result))
    out.reply(*put);
  else if (const auto* got = std::get_if<msg::store_get_reply>(&*event.result))
    out.reply(*got);
  else if (const auto* page = std::get_if<msg::store_scan_reply>(&*event.result))
    out.reply(*page);
}

// -- the sweep ------------------------------------------------------------------------------------

void store_keeper::sweep() {
  sweeping_ = true;
  store_->sweep(rules_.sweep_max, rules_.timeout,
                [to = caf::strong_actor_ptr{ctrl()}](expected<std::size_t> count) {
                  store_event event;
                  event.swept = count.value_or(0); // Trouble is told elsewhere; later once more.
                  notify(to, std::move(event));
                });
}

/// A step that was full has others behind it; calls that came meanwhile are served in between.
void store_keeper::swept(std::size_t count) {
  if (!sweeping_ || count >= rules_.sweep_max)
    return sweep();
  after(rules_.sweep_interval, [this] { sweep(); });
}

} // namespace skep::actors
