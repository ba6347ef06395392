// How a flight gets its answer.
#include "actors/flight/flight.hpp"

#include "actors/flight/kept.hpp"
#include "actors/flight/policy.hpp"
#include "apis/chat/cache_group.hpp"
#include "messages/codec.hpp"
#include "messages/core.hpp"
#include "messages/size.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

// Leaders found gone before a flight leads without asking any further.
constexpr std::uint32_t losses_max = 3;

telemetry::counter& count(telemetry::registry& metrics, const std::string& number, const char* name,
                          const char* help) {
  return metrics.counter(name, help, {{"flight", number}});
}

telemetry::gauge& level(telemetry::registry& metrics, const std::string& number, const char* name,
                        const char* help) {
  return metrics.gauge(name, help, {{"flight", number}});
}

/// memcached's rule of thumb: a lease outlasts its call.
std::uint32_t lease_ms(std::uint32_t deadline_ms) {
  return static_cast<std::uint32_t>(
    std::min<std::uint64_t>(std::uint64_t{deadline_ms} * 3 / 2, 0xffff'ffff));
}

} // namespace

flight::meters::meters(telemetry::registry& metrics, const std::string& number)
  : led(count(metrics, number, "skep_flight_led_total", "Answers fetched from providers.")),
    shared(count(metrics, number, "skep_flight_shared_total",
                 "Requests that followed a call for the same on this node.")),
    joined(count(metrics, number, "skep_flight_joined_total",
                 "Calls of other nodes that were followed instead of calling a provider.")),
    lost(count(metrics, number, "skep_flight_leaders_lost_total",
               "Calls of other nodes that ended without an answer to follow.")),
    refreshed(count(metrics, number, "skep_flight_refreshed_total",
                    "Answers fetched anew while the old one was served.")),
    cut(count(metrics, number, "skep_flight_cut_total",
              "Followers that were too slow for what is kept of an answer, or wanted whole what is "
              "too large for it.")),
    refused(count(metrics, number, "skep_flight_refused_total",
                  "Requests beyond what may be in flight.")),
    negative(count(metrics, number, "skep_flight_refusals_served_total",
                   "Requests a provider refused moments ago, refused again without asking it.")),
    upstream(count(metrics, number, "skep_flight_upstream_total", "Calls to providers.")),
    flights(level(metrics, number, "skep_flight_open", "Answers being fetched or played.")),
    waiters(level(metrics, number, "skep_flight_followers", "Requests that wait for them.")),
    bytes(level(metrics, number, "skep_flight_bytes", "Bytes of answers kept for followers.")) {}

flight::flight(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
               std::string number, flight_config rules, flight_peers peers)
  : bounded_actor(config, env, kind), rules_(std::move(rules)), peers_(std::move(peers)),
    meters_(env.metrics(), number) {}

caf::behavior flight::make_behavior() {
  return {
    [this](const rt::call& c, const msg::flight_request& request) { begin(c, request); },
    [this](const rt::call& c, const msg::flight_join_request& request) { join(c, request); },
  };
}

flight::id flight::start(msg::flight_request request, skep::context context) {
  const auto which = ++last_id_;
  auto& t = calls_.emplace(which, rules_.buffer_max).first->second;
  t.request = std::move(request);
  t.context = std::move(context);
  if (t.request.cached)
    t.origin.cache_key = key_text(t.request.key);
  return which;
}

void flight::remember(id which, rt::request_key pending) {
  // A request that failed at once has been handled already, and the flight may be gone.
  const auto entry = calls_.find(which);
  if (pending != 0 && entry != calls_.end())
    entry->second.pending = pending;
}

// -- the cache ------------------------------------------------------------------------------------

void flight::look_up(id which, std::uint64_t lost) {
  auto& t = calls_.at(which);
  t.at = stage::cache;
  t.lease = 0;
  msg::cache_get_request get{
    t.request.key,  t.request.cache_max_age_s, lease_ms(t.request.deadline_ms), rules_.node, lost,
    t.request.group};
  auto context = t.context;
  context.deadline = std::min(context.deadline, now() + rules_.cache_deadline);
  remember(which, ask(peers_.cache, std::move(context), std::move(get),
                      [this, which](const rt::answer& got) { cache_answered(which, got); }));
}

void flight::cache_answered(id which, const rt::answer& got) {
  const auto* reply = got.get<msg::cache_get_reply>();
  if (reply == nullptr) { // Missed, or the cache is in trouble: the answer does not depend on it.
    lead(which);
    return;
  }
  if (reply->found) {
    hit(which, *reply);
    return;
  }
  if (static_cast<msg::cache_turn>(reply->turn) == msg::cache_turn::wait) {
    join_leader(which, reply->leader, reply->lease);
    return;
  }
  calls_.at(which).lease = reply->lease;
  lead(which);
}

void flight::hit(id which, const msg::cache_get_reply& found) {
  auto& t = calls_.at(which);
  const bool renew = static_cast<msg::cache_turn>(found.turn) == msg::cache_turn::won;
  const auto kept = kept_for(t.context.tenant, found.value).value_or(std::string_view{});
  if (static_cast<msg::cache_kind>(found.kind) == msg::cache_kind::refusal) {
    if (auto why = decode<msg::failure_reply>(kept)) {
      meters_.negative.inc();
      fail_all(which, msg::failure_from(std::move(*why)));
      return;
    }
  } else if (auto reply = decode<msg::chat_reply>(kept)) {
    if (renew)
      refresh(t, found.lease);
    t.status = found.stale ? msg::cache_status::stale : msg::cache_status::hit;
    t.origin.cache_ttl_s = found.ttl_s;
    t.origin.provider = reply->origin.provider;
    leave_places(t);
    t.log.whole(std::move(*reply));
    close(which);
    return;
  }
  if (renew)
    t.lease = found.lease;
  lead(which); // What is stored is another tenant's or unreadable; a new answer takes its place.
}

/// Fetches a new answer in the background while the old one is served.
void flight::refresh(const shared_call& t, std::uint64_t lease) {
  auto request = t.request;
  request.stream = false;
  auto context = t.context;
  context.priority = priority::background;
  context.deadline = now() + std::chrono::milliseconds{request.deadline_ms};
  const auto which = start(std::move(request), std::move(context));
  auto& fresh = calls_.at(which);
  fresh.background = true;
  fresh.lease = lease;
  meters_.refreshed.inc();
  lead(which);
}

// -- others in flight -----------------------------------------------------------------------------

void flight::join_leader(id which, const std::string& leader, std::uint64_t lease) {
  auto& t = calls_.at(which);
  drop_relays(t);
  if (t.waiters.empty()) {
    forget(which);
    return;
  }
  if (leader == rules_.node) {
    const auto known = led_.find(lease);
    if (known == led_.end()) { // Of an earlier life of this actor.
      meters_.lost.inc();
      look_up(which, lease);
    } else if (const auto& led = calls_.at(known->second);
               led.log.first() == 0 && led.context.tenant == t.context.tenant) {
      move_followers(which, known->second);
    } else {
      lead(which);
    }
    return;
  }
  leave_places(t);
  t.at = stage::joined;
  t.status = msg::cache_status::shared;
  t.lease = lease;
  t.granted = credit_of(t);
  auto context = t.context;
  meters_.joined.inc();
  remember(which,
           ask(
             peers_.flights_of(leader), std::move(context),
             msg::flight_join_request{t.request.key, lease},
             [this, which](const rt::answer& got) { source_answered(which, got); }, t.granted));
}

// -- the semantic cache ---------------------------------------------------------------------------

void flight::lead(id which) {
  auto& t = calls_.at(which);
  t.status = msg::cache_status::miss;
  t.store = true;
  if (t.lease != 0)
    led_[t.lease] = which;
  const bool any_will_do
    = !t.background && static_cast<msg::cache_mode>(t.request.cache) == msg::cache_mode::use;
  if (any_will_do && !t.request.semantic.policy.empty() && peers_.semantic)
    look_for_similar(which);
  else
    ask_route(which);
}

void flight::look_for_similar(id which) {
  auto& t = calls_.at(which);
  t.at = stage::semantic;
  auto context = t.context;
  context.deadline = std::min(context.deadline, now() + rules_.semantic_deadline);
  const auto& wish = t.request.semantic;
  remember(which, ask(peers_.semantic, std::move(context),
                      msg::semantic_find_request{wish.policy, wish.partition, wish.text},
                      [this, which](const rt::answer& got) {
                        const auto* found = got.get<msg::semantic_find_reply>();
                        if (found != nullptr && found->candidate)
                          similar_found(which, *found);
                        else
                          ask_route(which);
                      }));
}

void flight::similar_found(id which, const msg::semantic_find_reply& found) {
  auto& t = calls_.at(which);
  t.similar = found;
  if (!found.serve) {
    ask_route(which);
    return;
  }
  t.at = stage::similar;
  auto context = t.context;
  context.deadline = std::min(context.deadline, now() + rules_.cache_deadline);
  msg::cache_get_request get;
  get.key = found.key;
  get.age_max_s = t.request.cache_max_age_s;
  get.group = t.request.group;
  remember(which, ask(peers_.cache, std::move(context), std::move(get),
                      [this, which](const rt::answer& got) {
                        auto& asked = calls_.at(which);
                        const auto* entry = got.get<msg::cache_get_reply>();
                        const auto kept = entry != nullptr && entry->kind == 0 && entry->found
                                            ? kept_for(asked.context.tenant, entry->value)
                                            : std::nullopt;
                        auto reply
                          = kept ? decode<msg::chat_reply>(*kept) : expected<msg::chat_reply>{};
                        if (!kept || !reply || reply->choices.empty()) {
                          asked.similar = {}; // It was evicted; there is nothing to compare with.
                          ask_route(which);
                          return;
                        }
                        asked.status = msg::cache_status::semantic;
                        asked.origin.provider = reply->origin.provider;
                        asked.origin.cache_ttl_s = entry->ttl_s;
                        asked.origin.cache_key = key_text(asked.similar.key);
                        asked.origin.similarity = asked.similar.similarity;
                        leave_places(asked);
                        asked.log.whole(std::move(*reply));
                        release(asked);
                        close(which);
                      }));
}

// -- the routes -----------------------------------------------------------------------------------

caf::actor flight::provider(const std::string& name) {
  auto& known = providers_[name];
  if (!known)
    known = peers_.provider(name);
  return known;
}

void flight::ask_route(id which) {
  auto& t = calls_.at(which);
  t.at = stage::routes;
  if (t.route >= t.request.routes.size()) {
    fail_all(which, failure{errc::not_found, "agent " + t.request.agent + " has no provider"});
    return;
  }
  if (t.origin.attempts == 0)
    if (const auto none = claim_places(t)) {
      fail_all(which, *none);
      return;
    }
  const auto& route = t.request.routes[t.route];
  t.origin.provider = route.provider;
  meters_.upstream.inc();
  if (!std::exchange(t.led, true))
    meters_.led.inc();
  t.granted = credit_of(t);
  msg::chat_request prompt;
  prompt.model = route.model.empty() ? t.request.model : route.model;
  prompt.messages = t.request.messages;
  prompt.parameters = t.request.parameters;
  prompt.stream = t.request.stream;
  prompt.native = t.request.native;
  remember(which,
           ask(
             provider(route.provider), t.context, std::move(prompt),
             [this, which](const rt::answer& got) { source_answered(which, got); }, t.granted));
}

void flight::source_answered(id which, const rt::answer& got) {
  auto& t = calls_.at(which);
  const auto malformed = [&](const char* what) {
    source_failed(which, failure{errc::malformed, what});
  };
  switch (got.what) {
    case rt::answer::kind::failed: {
      auto why = got.why;
      if (got.content == nullptr && why.code == errc::deadline_exceeded)
        why.tries = 1; // Our own clock: whoever was asked has not answered.
      source_failed(which, std::move(why));
      return;
    }
    case rt::answer::kind::reply:
      if (const auto* reply = got.get<msg::chat_reply>()) {
        came_from(t, reply->origin);
        t.log.whole(*reply);
        complete(which);
      } else {
        malformed("the provider's answer is no chat_reply");
      }
      return;
    case rt::answer::kind::open:
      if (const auto* begin = got.get<msg::chat_open>()) {
        came_from(t, begin->origin);
        t.log.open(*begin);
        serve(which);
      }
      return;
    case rt::answer::kind::chunk:
      if (const auto* piece = got.get<msg::chat_chunk>()) {
        t.received += bytes_of(*piece);
        t.log.add(*piece);
        serve(which);
      }
      return;
    case rt::answer::kind::end:
      if (const auto* end = got.get<msg::chat_end>()) {
        t.log.end(*end);
        complete(which);
      } else {
        malformed("the provider's stream ended without chat_end");
      }
      return;
  }
}

/// Whom the answer comes from, and what it took. A provider that does not count was asked once.
void flight::came_from(shared_call& t, const msg::answer_origin& source) {
  t.origin.attempts += std::max(source.attempts, 1u);
  t.origin.limits = source.limits;
  if (t.at == stage::joined)
    t.origin.provider = source.provider;
}

/// The deadline that passed was that of some waiters, and others wait longer: theirs counts from
/// now on.
bool flight::outlives(shared_call& t, const failure& why) {
  // Without tries it was not sent, for want of time.
  if (why.code != errc::deadline_exceeded || (why.tries > 0 && !t.context.expired(now())))
    return false;
  auto latest = t.context.deadline;
  for (const auto who : t.waiters)
    latest = std::max(latest, waiters_.at(who).deadline);
  return latest > std::max(std::exchange(t.context.deadline, latest), now());
}

void flight::source_failed(id which, failure why) {
  auto& t = calls_.at(which);
  t.pending = 0;
  const bool begun = t.log.head() != nullptr;
  const bool unasked = is_unreadable(why);
  if (t.at == stage::routes) {
    if (!begun) // Else they were counted then.
      t.origin.attempts += why.tries;
    why.tries = t.origin.attempts;
    if (why.provider.empty())
      why.provider = t.origin.provider;
  }
  if (!begun && outlives(t, why)) {
    if (t.at == stage::joined)
      look_up(which, 0);
    else
      ask_route(which);
    return;
  }
  const bool time_left = !t.context.expired(now());
  if (t.at == stage::joined && !begun && time_left && leader_is_gone(why)) {
    meters_.lost.inc();
    if (++t.losses < losses_max)
      look_up(which, t.lease);
    else
      lead(which);
    return;
  }
  if (t.at == stage::routes && !begun && time_left && another_may_answer(why)
      && t.route + 1 < t.request.routes.size()) {
    if (!unasked)
      t.last_failure = std::move(why);
    ++t.route;
    ask_route(which);
    return;
  }
  if (unasked) {
    // That one cannot serve the request says less than why the one that could did not.
    why.status = 0;
    if (t.last_failure.code != errc::none)
      why = std::move(t.last_failure);
  }
  if (t.at == stage::routes && !begun)
    store_refusal(t, why);
  fail_all(which, why);
}

} // namespace skep::actors
