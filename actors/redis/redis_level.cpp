#include "actors/redis/redis_level.hpp"

#include "actors/metric_names.hpp"

#include <caf/mailbox_element.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

using io::redis_args;
using io::redis_reply;

/// Keys a SCAN looks at per step: some milliseconds of the server's time at most.
constexpr const char* scan_count = "1000";

/// What is kept of a caller's time for the answer's way back, or a fifth if that is less.
constexpr duration answer_margin = 20ms;

/// Below a kibibyte a round trip costs more than the bytes that are saved.
constexpr store::codec_config compression{.bytes_min = 1024};

/// Whether the reply is what it should be; otherwise why not.
expected<void> check(const redis_reply& reply, redis_reply::kind wanted,
                     const std::string& server) {
  if (reply.is(wanted))
    return {};
  if (reply.is(redis_reply::kind::error))
    return fail(io::failure_of(reply, server));
  return fail(errc::malformed, "Redis at " + server + " answers with another type than asked for");
}

} // namespace

redis_level::meters::meters(telemetry::registry& m)
  : hits(m.counter(metric::redis_hits.name, metric::redis_hits.help)),
    misses(m.counter(metric::redis_misses.name, metric::redis_misses.help)),
    malformed(m.counter("skep_redis_malformed_total",
                        "Values in Redis that could not be read; each counts as a miss, too.")),
    stored(m.counter(metric::redis_stored.name, metric::redis_stored.help)),
    too_large(m.counter("skep_redis_too_large_total", "Answers over value_bytes, not written.")),
    cleared(m.counter("skep_redis_cleared_total", "Keys a clear removed.")),
    latency(m.histogram("skep_redis_latency_seconds",
                        "From a lookup's arrival at the actor to its answer.")) {
  static constexpr std::array<const char*, purposes> words{"get", "put", "clear"};
  for (std::size_t n = 0; n < purposes; ++n) {
    commands[n]
      = &m.counter("skep_redis_commands_total", "What Redis was asked for.", {{"kind", words[n]}});
    failed[n]
      = &m.counter(metric::redis_failed.name, metric::redis_failed.help, {{"kind", words[n]}});
  }
}

redis_level::redis_level(caf::actor_config& config, rt::environment& env,
                         const rt::actor_kind& kind, redis_level_config rules,
                         std::shared_ptr<io::redis_commands> redis)
  : bounded_actor(config, env, kind), rules_(std::move(rules)), keys_(rules_.prefix),
    codec_({}, compression), redis_(std::move(redis)), meters_(env.metrics()) {}

caf::behavior redis_level::make_behavior() {
  return {
    [this](const rt::call& c, const msg::cache_get_request& request) { get(c, request); },
    [this](const rt::call& c, const msg::cache_put_request& request) { put(c, request); },
    [this](const rt::call& c, const msg::cache_clear_request& request) { clear(c, request); },
    [this](const redis_event& event) { ended(event); },
  };
}

// -- asking ---------------------------------------------------------------------------------------

void redis_level::get(const rt::call& c, const msg::cache_get_request& request) {
  job made;
  made.out = take(c);
  if (!made.out)
    return; // Nobody waits for it any more.
  made.age_max_s = request.age_max_s;
  const auto key = keys_.of(request.group, request.key);
  start(std::move(made), {{"GET", key}, {"PTTL", key}}, time_for(c, rules_.timeout));
}

void redis_level::put(const rt::call& c, const msg::cache_put_request& request) {
  job made;
  made.what = purpose::put;
  if (c.lease)
    made.out = take(c);
  if (request.value.size() > rules_.value_max) {
    meters_.too_large.inc();
    made.out.fail(failure{errc::too_large, fmt::format("the answer has {} bytes, value_bytes of "
                                                       "[redis] allows {}",
                                                       request.value.size(), rules_.value_max)});
    return;
  }
  const auto ttl = request.ttl_ms > 0 ? std::chrono::milliseconds{request.ttl_ms} : rules_.ttl;
  start(std::move(made),
        {{"SET", keys_.of(request.group, request.key),
          pack_entry(codec_, request, ttl, rules_.wall_now()), "PX", std::to_string(ttl.count())}},
        time_for(c, rules_.timeout));
}

void redis_level::clear(const rt::call& c, const msg::cache_clear_request& request) {
  job made;
  made.what = purpose::clear;
  made.out = take(c);
  if (clears_ >= rules_.clears_max) {
    made.out.fail(
      failure{errc::overloaded, "Redis has clears_max clears at work", kind().bounds.retry_after});
    return;
  }
  ++clears_;
  const auto longest = time_for(c, rules_.clear_timeout);
  made.until = now() + longest;
  made.pattern = keys_.pattern_of(request);
  const redis_args scan{"SCAN", "0", "MATCH", made.pattern, "COUNT", scan_count};
  start(std::move(made), {scan}, longest);
}

/// Ends a little before the caller's deadline does: a caller that gives up first tells the guard
/// nothing, and its circuit must learn that Redis is silent.
duration redis_level::time_for(const rt::call& c, duration longest) const {
  if (c.context.deadline == time_point::max())
    return longest;
  const auto left = c.context.deadline - now();
  return std::clamp<duration>(left - std::min<duration>(left / 5, answer_margin), 1ms, longest);
}

void redis_level::start(job made, std::vector<redis_args> batch, duration timeout) {
  const auto which = ++last_id_;
  made.began = now();
  made.out.on_cancel([this, which] { finish(which); });
  meters_.commands[static_cast<std::size_t>(made.what)]->inc();
  jobs_.emplace(which, std::move(made));
  send(which, std::move(batch), timeout);
}

void redis_level::send(id which, std::vector<redis_args> batch, duration timeout) {
  const auto taken = redis_->submit_all(
    std::move(batch), timeout,
    [to = caf::strong_actor_ptr{ctrl()}, which](expected<std::vector<redis_reply>> result) {
      const auto urgent = caf::make_message_id(caf::message_priority::high);
      to->enqueue(
        caf::make_mailbox_element(nullptr, urgent, {}, redis_event{which, std::move(result)}),
        nullptr);
    });
  if (!taken)
    failed(which, taken.error());
}

// -- answers --------------------------------------------------------------------------------------

void redis_level::ended(const redis_event& event) {
  const auto entry = jobs_.find(event.job);
  if (entry == jobs_.end())
    return; // Given up meanwhile.
  if (!event.result) {
    failed(event.job, event.result.error());
    return;
  }
  const auto& replies = *event.result;
  switch (entry->second.what) {
    case purpose::get: got(event.job, replies); return;
    case purpose::put: {
      if (const auto fine = check(replies.front(), redis_reply::kind::status, rules_.server);
          !fine) {
        failed(event.job, fine.error());
        return;
      }
      meters_.stored.inc();
      entry->second.out.reply(msg::ack{});
      finish(event.job);
      return;
    }
    case purpose::clear: page_came(event.job, replies); return;
  }
}

void redis_level::failed(id which, const failure& why) {
  auto& j = jobs_.at(which);
  meters_.failed[static_cast<std::size_t>(j.what)]->inc();
  if (j.what == purpose::get)
    meters_.latency.record(now() - j.began);
  j.out.fail(why);
  finish(which);
}

void redis_level::got(id which, const std::vector<redis_reply>& replies) {
  const auto& value = replies.at(0);
  const auto& left = replies.at(1);
  // Somebody else's list or hash under a name of ours.
  const bool foreign = value.is(redis_reply::kind::error) && value.text.starts_with("WRONGTYPE");
  const bool absent = foreign || value.is(redis_reply::kind::nil);
  if (const auto fine = check(value, redis_reply::kind::bulk, rules_.server); !absent && !fine)
    return failed(which, fine.error());
  if (const auto fine = check(left, redis_reply::kind::integer, rules_.server); !fine)
    return failed(which, fine.error());
  auto& j = jobs_.at(which);
  expected<std::optional<msg::cache_get_reply>> entry{std::nullopt};
  // -1: somebody took its end away; -2: it went between the two commands.
  if (!absent && left.integer >= -1)
    entry = unpack_entry(codec_, value.text,
                         left.integer < 0 ? std::nullopt
                                          : std::optional{std::chrono::milliseconds{left.integer}},
                         rules_.wall_now(), rules_.value_max);
  if (foreign || !entry)
    meters_.malformed.inc();
  const bool hit = entry && *entry && (j.age_max_s == 0 || (*entry)->age_s < j.age_max_s);
  (hit ? meters_.hits : meters_.misses).inc();
  meters_.latency.record(now() - j.began);
  if (hit)
    j.out.reply(std::move(**entry));
  else
    j.out.fail(failure{errc::cache_miss});
  finish(which);
}

/// What came is how many keys of the page before are gone, unless there was none, and the next
/// page, [cursor, [keys]], unless there is none.
void redis_level::page_came(id which, const std::vector<redis_reply>& replies) {
  auto& j = jobs_.at(which);
  if (std::exchange(j.unlinking, false)) {
    const auto& gone = replies.front();
    if (const auto fine = check(gone, redis_reply::kind::integer, rules_.server); !fine)
      return failed(which, fine.error());
    meters_.cleared.add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, gone.integer)));
  }
  if (j.last_page) {
    j.out.reply(msg::ack{});
    finish(which);
    return;
  }
  const auto& page = replies.back();
  if (const auto fine = check(page, redis_reply::kind::array, rules_.server); !fine)
    return failed(which, fine.error());
  const bool shaped = page.elements.size() == 2 && page.elements[0].is(redis_reply::kind::bulk)
                      && page.elements[1].is(redis_reply::kind::array);
  if (!shaped)
    return failed(which, failure{errc::malformed, "SCAN of Redis at " + rules_.server
                                                    + " answers in an unknown shape"});
  turn_page(which, page.elements[0].text, page.elements[1].elements);
}

void redis_level::turn_page(id which, const std::string& cursor,
                            const std::vector<redis_reply>& keys) {
  auto& j = jobs_.at(which);
  redis_args unlink{"UNLINK"};
  for (const auto& key : keys)
    if (keys_.ours(key.text))
      unlink.push_back(key.text);
  j.unlinking = unlink.size() > 1;
  j.last_page = cursor == "0";
  std::vector<redis_args> batch;
  if (j.unlinking)
    batch.push_back(std::move(unlink));
  if (!j.last_page)
    batch.push_back({"SCAN", cursor, "MATCH", j.pattern, "COUNT", scan_count});
  if (batch.empty()) {
    j.out.reply(msg::ack{});
    finish(which);
    return;
  }
  const auto left = j.until - now();
  if (left <= duration::zero())
    return failed(which, failure{errc::deadline_exceeded,
                                 "Redis has more keys than could be looked at in the time; part of "
                                 "them is cleared"});
  send(which, std::move(batch), left);
}

void redis_level::finish(id which) {
  const auto entry = jobs_.find(which);
  if (entry == jobs_.end())
    return;
  if (entry->second.what == purpose::clear)
    --clears_;
  jobs_.erase(entry);
}

} // namespace skep::actors
