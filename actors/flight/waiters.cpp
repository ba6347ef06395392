// Those who wait for a flight's answer.
#include "actors/flight/flight.hpp"
#include "messages/size.hpp"
#include "runtime/actor/call_places.hpp"

#include <algorithm>

namespace skep::actors {

// -- coming ---------------------------------------------------------------------------------------

bool flight::room(const rt::call& c, std::size_t more_flights) {
  if (calls_.size() + more_flights <= rules_.flights_max && waiters_.size() < rules_.followers_max)
    return true;
  meters_.refused.inc();
  refuse(c, failure{errc::overloaded, "too many answers are in flight", kind().bounds.retry_after});
  return false;
}

void flight::begin(const rt::call& c, const msg::flight_request& request) {
  const bool follows = joinable(request, c.context.tenant);
  if (!room(c, follows ? 0 : 1))
    return;
  if (follows) {
    meters_.shared.inc();
    const auto which = open_.at(request.key.low);
    if (auto* f = follow(which, c, request.stream)) {
      f->late = true;
      leave_place(request.agent, *f);
      serve(which);
    }
    return;
  }
  const auto mode = static_cast<msg::cache_mode>(request.cache);
  const bool cached = request.cached && peers_.cache && mode != msg::cache_mode::off;
  const bool shared = cached && mode == msg::cache_mode::use;
  const auto which = start(request, c.context);
  auto& t = calls_.at(which);
  t.request.cached = cached;
  if (follow(which, c, request.stream) == nullptr) { // Given up before it arrived.
    calls_.erase(which);
    return;
  }
  if (shared) {
    open_.try_emplace(request.key.low, which);
    look_up(which, 0);
  } else if (cached) {
    lead(which); // A new answer, whatever is there.
  } else {
    t.status = request.cached ? msg::cache_status::bypass : msg::cache_status::none;
    t.origin.cache_key.clear();
    ask_route(which);
  }
}

/// There is a call for the same that this request may follow.
bool flight::joinable(const msg::flight_request& request, const std::string& tenant) const {
  if (!request.cached || static_cast<msg::cache_mode>(request.cache) != msg::cache_mode::use)
    return false;
  const auto known = open_.find(request.key.low);
  if (known == open_.end())
    return false;
  const auto& t = calls_.at(known->second);
  // While the cache is asked, what it finds must be young enough for all.
  const bool fits = t.at != stage::cache || t.request.cache_max_age_s == request.cache_max_age_s;
  return t.request.key == request.key && t.context.tenant == tenant && fits && t.log.first() == 0;
}

/// Null when nobody counts the agent's calls. Valid while `pool` is held.
call_places* flight::places_of(const std::string& agent, caf::actor& pool) const {
  if (peers_.pool)
    pool = peers_.pool(agent);
  return pool ? dynamic_cast<call_places*>(caf::actor_cast<caf::abstract_actor*>(pool)) : nullptr;
}

/// Somebody else's work answers this one.
void flight::leave_place(const std::string& agent, const waiter& f) {
  caf::actor pool;
  if (auto* places = places_of(agent, pool))
    places->leave(*f.call);
}

void flight::leave_places(const shared_call& t) {
  for (const auto who : t.waiters)
    leave_place(t.request.agent, waiters_.at(who));
}

/// A provider is about to be asked for those the flight began with.
std::optional<failure> flight::claim_places(const shared_call& t) {
  caf::actor pool;
  auto* const places = places_of(t.request.agent, pool);
  for (const auto who : t.waiters)
    if (places != nullptr && !places->claim(*waiters_.at(who).call))
      return places->no_place();
  return std::nullopt;
}

/// Another node follows what this one leads, or will lead once it hears of the lease: what the
/// cache told the other one may be here first.
void flight::join(const rt::call& c, const msg::flight_join_request& request) {
  if (!room(c, 0))
    return;
  const auto led = led_.find(request.lease);
  const auto open = open_.find(request.key.low);
  auto which = led != led_.end() ? led->second : id{0};
  if (which == 0 && open != open_.end() && calls_.at(open->second).at == stage::cache
      && calls_.at(open->second).request.key == request.key)
    which = open->second;
  if (which == 0 || calls_.at(which).log.first() != 0
      || calls_.at(which).context.tenant != c.context.tenant) {
    refuse(c, failure{errc::not_found, "this node does not lead that call"});
    return;
  }
  if (auto* f = follow(which, c, calls_.at(which).request.stream)) {
    f->relay = true;
    serve(which);
  }
}

/// Other nodes' flights look the key up again: this one follows somebody else itself.
void flight::drop_relays(shared_call& t) {
  std::erase_if(t.waiters, [&](id who) {
    auto& f = waiters_.at(who);
    if (!f.relay)
      return false;
    f.out.fail(failure{errc::not_found, "this node does not lead that call"});
    waiters_.erase(who);
    return true;
  });
}

/// Null when the caller has given up already.
flight::waiter* flight::follow(id which, const rt::call& c, bool stream) {
  auto out = take(c, stream);
  if (!out)
    return nullptr;
  const auto who = ++last_id_;
  auto& f = waiters_[who];
  f.shared = which;
  f.deadline = c.context.deadline;
  f.call = c.lease;
  f.stream = stream;
  f.credit = out.window();
  f.out = std::move(out);
  f.out.on_cancel([this, who] { left(who); });
  f.out.on_credit([this, who](std::uint64_t bytes) { credit_came(who, bytes); });
  calls_.at(which).waiters.push_back(who);
  show();
  return &f;
}

// -- going ----------------------------------------------------------------------------------------

/// The caller gave up. The call goes on for the others, if there are any.
void flight::left(id who) {
  const auto entry = waiters_.extract(who);
  if (entry.empty())
    return;
  const auto which = entry.mapped().shared;
  std::erase(calls_.at(which).waiters, who);
  show();
  forget(which);
}

void flight::fail_all(id which, const failure& why) {
  auto& t = calls_.at(which);
  t.pending = 0;
  for (const auto who : std::exchange(t.waiters, {})) {
    auto entry = waiters_.extract(who);
    entry.mapped().out.fail(why);
  }
  t.background = false;
  forget(which);
}

/// Both are of this actor; the first one ends.
void flight::move_followers(id from, id to) {
  auto moving = std::exchange(calls_.at(from).waiters, {});
  auto& t = calls_.at(to);
  for (const auto who : moving) {
    auto& f = waiters_.at(who);
    f.shared = to;
    f.late = true;
    leave_place(t.request.agent, f);
    t.waiters.push_back(who);
  }
  forget(from);
  serve(to);
}

// -- the answer -----------------------------------------------------------------------------------

/// Hands every waiter what it can take, and ends the flight with the last one.
void flight::serve(id which) {
  auto& t = calls_.at(which);
  std::erase_if(t.waiters, [&](id who) {
    if (!serve_one(t, waiters_.at(who)))
      return false;
    waiters_.erase(who);
    return true;
  });
  count_bytes(t);
  pace(t);
  forget(which);
}

/// True when the waiter has all of it, or is cut.
bool flight::serve_one(shared_call& t, waiter& f) {
  if (f.stream && !(f.relay && t.log.reply() != nullptr && t.log.head() == nullptr)) {
    t.log.cut_into_pieces();
    return play(t, f);
  }
  if (t.log.reply() == nullptr) {
    if (t.log.last() == nullptr)
      return false;
    cut(f, "the answer came as a stream for others and is too large to be put together: "
           "[flight] buffer_bytes");
    return true;
  }
  auto reply = *t.log.reply();
  reply.origin = origin_for(t, f);
  f.out.reply(std::move(reply));
  return true;
}

void flight::cut(waiter& f, const char* why) {
  meters_.cut.inc();
  f.out.fail(failure{errc::stream_cut, why});
}

bool flight::play(shared_call& t, waiter& f) {
  if (t.log.head() == nullptr)
    return false;
  if (!f.opened) {
    f.opened = true;
    auto begin = *t.log.head();
    begin.origin = origin_for(t, f);
    f.out.open(std::move(begin));
  }
  for (; f.next < t.log.next() && f.out.credit() > 0; ++f.next) {
    if (f.next < t.log.first()) {
      cut(f, "read too slowly: the answer was shared with others, and what is kept of it for slow "
             "readers ran over: [flight] buffer_bytes");
      return true;
    }
    f.out.chunk(t.log.piece(f.next));
  }
  if (t.log.last() == nullptr || f.next < t.log.next())
    return false;
  auto end = *t.log.last();
  end.origin = origin_for(t, f);
  f.out.end(std::move(end));
  return true;
}

msg::answer_origin flight::origin_for(const shared_call& t, const waiter& f) const {
  auto origin = t.origin;
  const bool shared = f.late && t.status == msg::cache_status::miss;
  origin.cache = static_cast<std::uint8_t>(shared ? msg::cache_status::shared : t.status);
  if (f.late)
    origin.limits.clear();
  return origin;
}

// -- credit ---------------------------------------------------------------------------------------

/// What may be read of the answer in all: as far as the fastest waiter takes it.
std::uint64_t flight::credit_of(const shared_call& t) const {
  auto credit = t.waiters.empty() ? t.received + rules_.window : 0;
  for (const auto who : t.waiters) {
    const auto& f = waiters_.at(who);
    credit = std::max(credit, f.stream ? f.credit : t.received + rules_.window);
  }
  return credit;
}

void flight::pace(shared_call& t) {
  if (t.pending == 0 || t.log.head() == nullptr)
    return;
  const auto credit = credit_of(t);
  if (credit <= t.granted)
    return;
  grant(t.pending, credit - t.granted);
  t.granted = credit;
}

void flight::credit_came(id who, std::uint64_t bytes) {
  const auto entry = waiters_.find(who);
  if (entry == waiters_.end())
    return;
  auto& f = entry->second;
  f.credit += bytes;
  const auto which = f.shared;
  auto& t = calls_.at(which);
  pace(t);
  if (!play(t, f))
    return;
  std::erase(t.waiters, who);
  waiters_.erase(who);
  forget(which);
}

} // namespace skep::actors
