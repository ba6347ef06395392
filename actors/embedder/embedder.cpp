#include "actors/embedder/embedder.hpp"

#include <algorithm>
#include <numeric>

namespace skep::actors {

namespace {

// What a refused caller is told to wait: a batch or two.
constexpr std::chrono::milliseconds full_retry_after{250};

std::size_t bytes_of_texts(const std::vector<std::string>& texts) {
  return std::accumulate(
    texts.begin(), texts.end(), std::size_t{0},
    [](std::size_t sum, const std::string& each) { return sum + each.size(); });
}

} // namespace

embedder::line::line(std::string model_name, std::string parameters_json,
                     const embeddings_config& rules)
  : model(std::move(model_name)), parameters(std::move(parameters_json)),
    batcher(batching_of(rules)), hedging(hedging_of(rules)) {}

embedder::embedder(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                   const std::string& provider, const embeddings_config& rules, upstream ask_at)
  : bounded_actor(config, env, kind), rules_(rules), upstream_(std::move(ask_at)),
    meters_(env.metrics(), provider) {}

caf::behavior embedder::make_behavior() {
  return {[this](const rt::call& c, const msg::embed_request& request) { embed(c, request); }};
}

void embedder::on_stop() {
  // The gauges outlive this instance.
  meters_.in_flight.add(-static_cast<std::int64_t>(flights_.size()));
  meters_.lines.set(0);
  meters_.queued.set(0);
  meters_.held_bytes.set(0);
}

// -- callers --------------------------------------------------------------------------------------

void embedder::embed(const rt::call& c, const msg::embed_request& request) {
  if (!c.lease)
    return;
  const auto bytes = bytes_of_texts(request.texts);
  const bool alone = !request.tokens.empty() || request.texts.empty()
                     || request.texts.size() > rules_.count_max || bytes > rules_.batch_max;
  auto* on = alone ? nullptr : line_for(request);
  if (on == nullptr) {
    meters_.passed_on.inc();
    return pass_on(c, c.context, upstream_(), request);
  }
  const auto who = ++last_id_;
  const auto ticket = held_ + bytes <= rules_.held_max
                        ? on->batcher.push(who, request.texts.size(), bytes, now())
                        : std::nullopt;
  if (!ticket) {
    meters_.refused.inc();
    return refuse(
      c, failure{errc::overloaded, "too many texts wait to be embedded", full_retry_after});
  }
  auto out = take(c);
  out.on_cancel([this, who] { left(who); });
  callers_.emplace(who,
                   caller{on, std::move(out), c.context, request.texts, bytes, now(), *ticket});
  held_ += bytes;
  meters_.held_bytes.set(static_cast<std::int64_t>(held_));
  meters_.queued.add(static_cast<std::int64_t>(request.texts.size()));
  meters_.requests.inc();
  meters_.texts.add(request.texts.size());
  pump(*on);
}

/// The line of a request; null when there are too many at work to begin another one.
embedder::line* embedder::line_for(const msg::embed_request& request) {
  auto key = std::pair{request.model, request.parameters};
  auto found = lines_.find(key);
  if (found == lines_.end()) {
    if (lines_.size() >= rules_.lines_max) {
      auto oldest = lines_.end();
      for (auto each = lines_.begin(); each != lines_.end(); ++each)
        if (each->second.batcher.idle()
            && (oldest == lines_.end() || each->second.used < oldest->second.used))
          oldest = each;
      if (oldest == lines_.end())
        return nullptr;
      lines_.erase(oldest);
    }
    found = lines_
              .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                       std::forward_as_tuple(request.model, request.parameters, rules_))
              .first;
    meters_.lines.set(static_cast<std::int64_t>(lines_.size()));
  }
  found->second.used = now();
  return &found->second;
}

/// Its texts wait for their first turn no longer.
void embedder::leave_queue(caller& who) {
  if (std::exchange(who.queued, false))
    meters_.queued.add(-static_cast<std::int64_t>(who.texts.size()));
}

/// Takes a caller out of the books; its answer is the taker's to give.
std::optional<embedder::caller> embedder::release(id who) {
  auto entry = callers_.extract(who);
  if (entry.empty())
    return std::nullopt;
  leave_queue(entry.mapped());
  held_ -= entry.mapped().bytes;
  meters_.held_bytes.set(static_cast<std::int64_t>(held_));
  return std::move(entry.mapped());
}

void embedder::left(id who) {
  const auto gone = release(who);
  if (!gone)
    return;
  auto& on = *gone->on;
  if (gone->flight == 0) {
    // One that waits to be asked again in a half is passed over when the half goes out.
    on.batcher.erase(gone->ticket);
  } else if (auto& f = flights_.at(gone->flight); --f.staying == 0) {
    meters_.abandoned.inc();
    close(gone->flight);
  }
  pump(on);
}

/// Sends out what is to go out now, and sets the timer for what is not.
void embedder::pump(line& on) {
  if (on.pumping)
    return; // An answer came at once: the loop below goes on.
  on.pumping = true;
  for (auto batch = on.batcher.next(now()); !batch.empty(); batch = on.batcher.next(now()))
    send_out(on, std::move(batch));
  on.pumping = false;
  cancel_timer(std::exchange(on.timer, 0));
  if (const auto due = on.batcher.due())
    on.timer = after(*due - now(), [this, &on] {
      on.timer = 0;
      pump(on);
    });
}

} // namespace skep::actors
