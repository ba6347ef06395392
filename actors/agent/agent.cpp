#include "actors/agent/agent.hpp"

#include "actors/agent/prompt.hpp"
#include "messages/codec.hpp"
#include "messages/core.hpp"

#include <algorithm>

namespace skep::actors {

agent::agent(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
             agent_definition_ptr definition)
  : bounded_actor(config, env, kind), definition_(std::move(definition)) {}

caf::behavior agent::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& request) { begin(c, request); },
    [](const msg::ack&) {
      // Warm-up: the behaviour is built and the instance is live.
    },
  };
}

void agent::begin(const rt::call& c, const msg::chat_request& request) {
  const auto id = ++last_job_;
  auto& j = jobs_[id];
  j.out = take(c, request.stream);
  j.out.on_cancel([this, id] {
    const auto pending = jobs_[id].pending;
    jobs_.erase(id);
    give_up(pending);
  });
  j.out.on_credit([this, id](std::uint64_t bytes) { credit_came(id, bytes); });
  j.context = c.context;
  j.context.deadline = std::min(j.context.deadline, now() + definition_->deadline);
  j.request = request;
  const auto mode = static_cast<msg::cache_mode>(request.cache);
  if (!definition_->cache || definition_->routes.empty()) {
    ask_provider(id);
    return;
  }
  if (mode == msg::cache_mode::off) {
    j.origin.cache = static_cast<std::uint8_t>(msg::cache_status::bypass);
    ask_provider(id);
    return;
  }
  const auto& first = definition_->routes.front();
  j.key = cache_key_of(j.context.tenant, definition_->name, first,
                       prompt_for(*definition_, first, request));
  j.store = true;
  j.origin.cache = static_cast<std::uint8_t>(msg::cache_status::miss);
  if (mode == msg::cache_mode::use)
    look_up(id);
  else
    ask_provider(id);
}

void agent::look_up(job_id id) {
  auto& j = jobs_[id];
  auto context = j.context;
  context.deadline = std::min(context.deadline, now() + definition_->cache_deadline);
  const msg::cache_get_request get{j.key, j.request.cache_max_age_s};
  remember(id, ask(definition_->cache, std::move(context), get,
                   [this, id](const rt::answer& got) { cache_answered(id, got); }));
}

void agent::remember(job_id id, rt::request_key pending) {
  // A request that failed at once has been handled already, and the job may be gone.
  const auto entry = jobs_.find(id);
  if (pending != 0 && entry != jobs_.end())
    entry->second.pending = pending;
}

void agent::cache_answered(job_id id, const rt::answer& got) {
  const auto* hit = got.get<msg::cache_get_reply>();
  if (hit == nullptr) {
    ask_provider(id); // Missed, or the cache is in trouble: the answer does not depend on it.
    return;
  }
  auto reply = decode<msg::chat_reply>(hit->value);
  if (!reply) {
    ask_provider(id);
    return;
  }
  auto& j = jobs_[id];
  j.store = false;
  j.origin.cache = static_cast<std::uint8_t>(msg::cache_status::hit);
  j.origin.cache_ttl_s = hit->ttl_s;
  j.origin.provider = reply->origin.provider;
  whole_answer(id, std::move(*reply));
}

void agent::ask_provider(job_id id) {
  auto& j = jobs_[id];
  if (j.route >= definition_->routes.size()) {
    const failure why{errc::not_found, "agent " + definition_->name + " has no provider"};
    j.out.fail(why);
    jobs_.erase(id);
    return;
  }
  const auto& route = definition_->routes[j.route];
  ++j.origin.attempts;
  j.origin.provider = route.provider;
  if (j.request.stream && j.store)
    j.built.emplace(definition_->cache_value_max);
  const auto window = j.out.window();
  auto prompt = prompt_for(*definition_, route, j.request);
  const auto context = j.context;
  remember(id, ask(
                 route.handle, context, std::move(prompt),
                 [this, id](const rt::answer& got) { provider_answered(id, got); }, window));
}

void agent::provider_answered(job_id id, const rt::answer& got) {
  auto& j = jobs_[id];
  switch (got.what) {
    case rt::answer::kind::failed: provider_failed(id, got.why); return;
    case rt::answer::kind::reply:
      if (const auto* reply = got.get<msg::chat_reply>())
        whole_answer(id, *reply);
      else
        provider_failed(id, failure{errc::malformed, "the provider's answer is no chat_reply"});
      return;
    case rt::answer::kind::open:
      if (const auto* begin = got.get<msg::chat_open>())
        stream_began(j, *begin);
      return;
    case rt::answer::kind::chunk:
      if (const auto* piece = got.get<msg::chat_chunk>()) {
        if (j.built)
          j.built->add(*piece);
        j.out.chunk(*piece);
      }
      return;
    case rt::answer::kind::end:
      if (const auto* end = got.get<msg::chat_end>())
        stream_ended(id, *end);
      else
        provider_failed(id,
                        failure{errc::malformed, "the provider's stream ended without chat_end"});
      return;
  }
}

void agent::provider_failed(job_id id, const failure& why) {
  auto& j = jobs_[id];
  const bool time_left = !j.context.expired(now());
  if (!j.opened && time_left && another_may_answer(why)
      && j.route + 1 < definition_->routes.size()) {
    ++j.route;
    ask_provider(id);
    return;
  }
  j.out.fail(why);
  jobs_.erase(id);
}

void agent::stream_began(job& j, const msg::chat_open& begin) {
  j.opened = true;
  auto mine = begin;
  mine.origin = j.origin;
  if (j.built)
    j.built->open(mine);
  j.out.open(std::move(mine));
}

void agent::stream_ended(job_id id, const msg::chat_end& end) {
  auto& j = jobs_[id];
  if (j.built)
    if (const auto reply = j.built->finish(end))
      store(j, *reply);
  auto mine = end;
  mine.origin = j.origin;
  j.out.end(std::move(mine));
  jobs_.erase(id);
}

void agent::whole_answer(job_id id, msg::chat_reply reply) {
  auto& j = jobs_[id];
  reply.origin = j.origin;
  if (j.store)
    store(j, reply);
  if (!j.request.stream) {
    j.out.reply(std::move(reply));
    jobs_.erase(id);
    return;
  }
  j.pending = 0;
  j.player = std::make_unique<answer_player>(std::move(reply));
  j.out.open(j.player->open());
  play(id);
}

void agent::play(job_id id) {
  auto& j = jobs_[id];
  while (j.out.credit() > 0) {
    auto piece = j.player->next();
    if (!piece) {
      j.out.end(j.player->end());
      jobs_.erase(id);
      return;
    }
    j.out.chunk(std::move(*piece));
  }
}

void agent::credit_came(job_id id, std::uint64_t bytes) {
  const auto entry = jobs_.find(id);
  if (entry == jobs_.end())
    return;
  if (entry->second.player)
    play(id);
  else
    grant(entry->second.pending, bytes);
}

void agent::store(const job& j, const msg::chat_reply& reply) {
  if (!may_store(reply))
    return;
  msg::cache_put_request put;
  put.key = j.key;
  put.ttl_ms = static_cast<std::uint32_t>(definition_->cache_ttl.count());
  encode(reply, put.value);
  if (put.value.size() > definition_->cache_value_max)
    return;
  auto context = j.context;
  context.deadline = now() + definition_->cache_deadline;
  tell(definition_->cache, std::move(context), std::move(put));
}

} // namespace skep::actors
