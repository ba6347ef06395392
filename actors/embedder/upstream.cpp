// The embedder's batches at the provider.
#include "actors/embedder/embedder.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

/// The provider objects to what is in the request: with other texts it might not have.
bool is_of_request(const failure& why) {
  return why.code == errc::bad_request || why.code == errc::too_large
         || why.code == errc::context_overflow || why.code == errc::content_filtered;
}

} // namespace

// -- out ------------------------------------------------------------------------------------------

/// Sends a batch that the batcher gave out, as far as its callers are still there.
void embedder::send_out(line& on, std::vector<id> callers) {
  std::erase_if(callers, [this](id who) { return !still_waits(who); });
  if (callers.empty()) {
    on.batcher.done();
    return;
  }
  const auto which = ++last_id_;
  const bool once = callers.size() > 1 || callers_.at(callers.front()).once;
  std::vector<const std::vector<std::string>*> texts;
  for (const auto who : callers) {
    auto& each = callers_.at(who);
    texts.push_back(&each.texts);
    each.flight = which;
    if (each.queued)
      meters_.wait.record(now() - each.came);
    leave_queue(each);
  }
  flight f;
  f.on = &on;
  f.batch = coalesce(texts, once);
  f.context = context_for(callers);
  f.began = now();
  f.staying = callers.size();
  f.callers = std::move(callers);
  meters_.batches.inc();
  meters_.in_flight.add(1);
  meters_.batch_texts.record_value(f.batch.texts.size());
  meters_.spared.add(f.batch.spared);
  flights_.emplace(which, std::move(f));
  ask_upstream(which, false);
  watch(which);
}

/// Still there and in time; one whose deadline has passed hears so now.
bool embedder::still_waits(id who) {
  const auto found = callers_.find(who);
  if (found == callers_.end())
    return false;
  if (!found->second.context.expired(now()))
    return true;
  if (auto late = release(who))
    late->out.fail(failure{errc::deadline_exceeded, "the deadline passed before the texts were "
                                                    "sent to the provider"});
  return false;
}

/// One caller's own context, or one for all: urgent as the most urgent, patient as the most
/// patient, and of no tenant or session when they differ.
skep::context embedder::context_for(const std::vector<id>& callers) {
  auto made = callers_.at(callers.front()).context;
  if (callers.size() == 1)
    return made;
  made.id = make_request_id();
  made.session.clear();
  made.trace = child_span(made.trace);
  for (const auto who : callers) {
    const auto& each = callers_.at(who).context;
    made.deadline = std::max(made.deadline, each.deadline);
    made.priority = std::max(made.priority, each.priority);
    made.flags &= each.flags;
    if (made.tenant != each.tenant)
      made.tenant = default_tenant;
  }
  return made;
}

msg::embed_request embedder::request_of(const flight& f) const {
  msg::embed_request request;
  request.model = f.on->model;
  request.texts = f.batch.texts;
  request.parameters = f.on->parameters;
  return request;
}

void embedder::ask_upstream(id which, bool again) {
  const auto& f = flights_.at(which);
  auto context = f.context;
  if (again)
    context.trace = child_span(context.trace);
  const auto key
    = ask(upstream_(), std::move(context), request_of(f),
          [this, which, again](const rt::answer& got) { answered(which, again, got); });
  // A call that could not even be sent has been answered by now.
  if (const auto entry = flights_.find(which); entry != flights_.end())
    (again ? entry->second.second : entry->second.first) = key;
}

// -- a second time --------------------------------------------------------------------------------

/// Has the batch asked again when its answer is late.
void embedder::watch(id which) {
  const auto entry = flights_.find(which);
  if (entry == flights_.end() || !rules_.hedge)
    return;
  auto& f = entry->second;
  f.on->hedging.on_call(now());
  if (const auto wait = f.on->hedging.delay(f.batch.bytes))
    f.timer = after(*wait, [this, which] { hedge(which); });
}

void embedder::hedge(id which) {
  auto& f = flights_.at(which);
  f.timer = 0;
  if (!f.on->hedging.try_hedge(now())) {
    meters_.hedges_denied.inc();
    return;
  }
  meters_.hedges.inc();
  ask_upstream(which, true);
}

// -- back -----------------------------------------------------------------------------------------

void embedder::answered(id which, bool again, const rt::answer& got) {
  auto& f = flights_.at(which);
  (again ? f.second : f.first) = 0;
  const auto* reply = got.get<msg::embed_reply>();
  if (reply != nullptr && reply->embeddings.size() == f.batch.texts.size())
    return came(which, again, *reply);
  auto why = got.why;
  if (got.what != rt::answer::kind::failed)
    why = failure{errc::provider_failed, "the provider's answer has not one vector per text"};
  // The other call may still do better, unless what is asked for is wrong.
  if ((f.first != 0 || f.second != 0) && !is_of_request(why))
    return;
  failed(which, why);
}

void embedder::came(id which, bool again, const msg::embed_reply& reply) {
  const auto f = close(which);
  f.on->hedging.on_latency(f.batch.bytes, now() - f.began);
  meters_.hedges_won.add(again ? 1 : 0);
  auto shares = share_out(f.batch, reply);
  for (std::size_t n = 0; n < f.callers.size(); ++n)
    if (auto each = release(f.callers[n]))
      each->out.reply(std::move(shares[n]));
  pump(*f.on);
}

void embedder::failed(id which, const failure& why) {
  auto f = close(which);
  std::erase_if(f.callers, [this](id who) { return callers_.count(who) == 0; });
  for (const auto who : f.callers)
    callers_.at(who).flight = 0;
  const bool shared = f.batch.places.size() > 1;
  if (is_of_request(why) && (shared || f.batch.spared > 0)) {
    ask_in_parts(*f.on, std::move(f.callers), shared);
  } else {
    for (const auto who : f.callers)
      if (auto each = release(who))
        each->out.fail(why);
  }
  pump(*f.on);
}

/// Finds out whose texts the provider refuses: by halves, until a caller is alone, and then with
/// its texts as they came, so that a position the provider names is one that the caller knows.
void embedder::ask_in_parts(line& on, std::vector<id> callers, bool shared) {
  meters_.halved.inc();
  if (callers.size() > 1)
    return on.batcher.halve(std::move(callers));
  callers_.at(callers.front()).once = shared;
  on.batcher.again(std::move(callers));
}

/// Ends a batch: its calls are given up, its place is free.
embedder::flight embedder::close(id which) {
  auto entry = flights_.extract(which);
  auto& f = entry.mapped();
  cancel_timer(f.timer);
  give_up(f.first);
  give_up(f.second);
  f.on->batcher.done();
  meters_.in_flight.add(-1);
  return std::move(f);
}

} // namespace skep::actors
