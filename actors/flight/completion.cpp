// What becomes of an answer: kept, learnt from, handed to the last waiter, forgotten.
#include "actors/flight/flight.hpp"
#include "actors/flight/kept.hpp"
#include "actors/flight/policy.hpp"
#include "messages/codec.hpp"
#include "messages/core.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

/// Nobody waits for what is put into the cache or released there, but what a busy machine drops is
/// paid for again.
constexpr duration keep_deadline = std::chrono::seconds{10};

context unwaited(context of, time_point now) {
  of.deadline = now + keep_deadline;
  return of;
}

} // namespace

/// The answer is whole.
void flight::complete(id which) {
  auto& t = calls_.at(which);
  t.pending = 0;
  if (t.at == stage::routes)
    store(t);
  t.lingers = rules_.linger > duration::zero() && t.lease != 0 && t.at == stage::routes;
  if (t.lingers)
    after(rules_.linger, [this, which] {
      if (const auto entry = calls_.find(which); entry != calls_.end()) {
        entry->second.lingers = false;
        forget(which);
      }
    });
  close(which);
}

void flight::store(shared_call& t) {
  const auto* reply = t.log.reply();
  if (!t.store || !t.request.cached || !peers_.cache || reply == nullptr
      || !may_store(*reply, t.request.parameters)) {
    release(t);
    return;
  }
  auto kept = *reply;
  kept.origin = {};
  kept.origin.provider = t.origin.provider;
  if (kept.native.is(msg::native_api::chat))
    kept.native = {}; // The typed members say it all.
  msg::cache_put_request put;
  put.key = t.request.key;
  put.ttl_ms = t.request.ttl_ms;
  put.group = t.request.group;
  put.cost = cost_of(reply->usage);
  put.value = begin_kept(t.context.tenant);
  encode(kept, put.value);
  if (put.value.size() > t.request.value_max) {
    release(t);
    return;
  }
  tell(peers_.cache, unwaited(t.context, now()), std::move(put));
  learn(t, *reply);
}

void flight::store_refusal(shared_call& t, const failure& why) {
  if (!t.store || !t.request.cached || !peers_.cache || rules_.negative_ttl.count() == 0
      || !is_deterministic(why))
    return;
  msg::cache_put_request put;
  put.key = t.request.key;
  put.ttl_ms = static_cast<std::uint32_t>(rules_.negative_ttl.count());
  put.group = t.request.group;
  put.kind = static_cast<std::uint8_t>(msg::cache_kind::refusal);
  auto kept = msg::failure_message(why);
  kept.retry_after_ms = 0;
  kept.tries = 0; // Whoever is served it from here asks nobody.
  put.value = begin_kept(t.context.tenant);
  encode(kept, put.value);
  tell(peers_.cache, unwaited(t.context, now()), std::move(put)); // It ends the lease as well.
  led_.erase(std::exchange(t.lease, 0));
}

/// Tells the semantic cache of the answer, and how the one it had in mind would have done.
void flight::learn(shared_call& t, const msg::chat_reply& reply) {
  if (t.request.semantic.policy.empty() || !peers_.semantic)
    return;
  msg::semantic_learn_request learnt;
  learnt.policy = t.request.semantic.policy;
  learnt.partition = t.request.semantic.partition;
  learnt.text = t.request.semantic.text;
  learnt.key = t.request.key;
  auto context = t.context;
  context.deadline = now() + rules_.semantic_deadline;
  if (!t.similar.candidate) {
    tell(peers_.semantic, std::move(context), std::move(learnt));
    return;
  }
  learnt.candidate = t.similar.key;
  learnt.similarity = t.similar.similarity;
  learnt.answer = text_of(reply);
  msg::cache_get_request get;
  get.key = t.similar.key;
  get.group = t.request.group;
  auto lookup = context;
  ask(peers_.cache, std::move(lookup), std::move(get),
      [this, learnt = std::move(learnt), context](const rt::answer& got) mutable {
        const auto* entry = got.get<msg::cache_get_reply>();
        const auto kept = entry != nullptr && entry->found && entry->kind == 0
                            ? kept_for(context.tenant, entry->value)
                            : std::nullopt;
        if (kept)
          if (const auto other = decode<msg::chat_reply>(*kept))
            learnt.candidate_answer = text_of(*other);
        tell(peers_.semantic, context, std::move(learnt));
      });
}

/// Gives the lease back, so that whoever asks next is not told to wait.
void flight::release(shared_call& t) {
  if (t.lease == 0 || t.at == stage::joined || !peers_.cache)
    return;
  led_.erase(t.lease);
  tell(peers_.cache, unwaited(t.context, now()),
       msg::cache_release_request{t.request.key, std::exchange(t.lease, 0)});
}

/// From now on nobody joins it by its key.
void flight::shut(id which) {
  const auto known = open_.find(calls_.at(which).request.key.low);
  if (known != open_.end() && known->second == which)
    open_.erase(known);
}

/// The answer is there; who follows may still have to read it.
void flight::close(id which) {
  auto& t = calls_.at(which);
  t.at = stage::done;
  shut(which);
  serve(which);
}

/// Ends a flight nobody follows any more.
void flight::forget(id which) {
  const auto entry = calls_.find(which);
  if (entry == calls_.end())
    return;
  auto& t = entry->second;
  if (!t.waiters.empty() || t.lingers || (t.background && t.at != stage::done))
    return;
  if (t.at != stage::done) {
    give_up(t.pending);
    release(t);
  }
  shut(which);
  if (const auto mine = led_.find(t.lease); mine != led_.end() && mine->second == which)
    led_.erase(mine);
  bytes_ -= t.counted;
  calls_.erase(entry);
  show();
}

/// Beyond the sum of all answers, each keeps no more than a window.
void flight::count_bytes(shared_call& t) {
  if (bytes_ - t.counted + t.log.bytes() > rules_.buffers_max && t.log.head() != nullptr)
    t.log.trim(static_cast<std::size_t>(rules_.window));
  bytes_ += t.log.bytes() - t.counted;
  t.counted = t.log.bytes();
  meters_.bytes.set(static_cast<std::int64_t>(bytes_));
}

void flight::show() {
  meters_.flights.set(static_cast<std::int64_t>(calls_.size()));
  meters_.waiters.set(static_cast<std::int64_t>(waiters_.size()));
  meters_.bytes.set(static_cast<std::int64_t>(bytes_));
}

} // namespace skep::actors
