#include "runtime/io/redis_loop.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/log.hpp"
#include "runtime/io/redis_resolver.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <utility>

namespace skep::io {

namespace {

/// Sockets looked at per round; there are fewer.
constexpr int events_max = 64;
/// Stands for the inbox among the numbers of connections.
constexpr std::uint64_t inbox_number = ~std::uint64_t{0};
/// Connections that open together share one lookup; later ones see where the name points now.
constexpr duration addresses_ttl = 1s;
/// A server that comes and goes is told of so often; the metrics have all of it.
constexpr duration log_pause = 10s;

flow::pool_sizer_config rules_of(const redis_client_config& from) {
  flow::pool_sizer_config made;
  made.size_min = from.connections;
  made.size_max = from.connections + from.overflow;
  made.growth_factor = from.growth_factor;
  made.grow_above = from.grow_above;
  made.shrink_below = from.shrink_below;
  made.window = from.utilisation_window;
  made.shrink_after = from.idle_ttl;
  return made;
}

} // namespace

redis_loop::redis_loop(const redis_client_config& config, std::shared_ptr<redis_inbox> inbox)
  : config_(config), inbox_(std::move(inbox)), meters_(inbox_->meters()),
    epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
    named_(config.endpoint.socket.empty() && !is_address(config.endpoint.host)),
    random_(std::random_device{}()), deadlines_(clock::now(), 1ms), sizer_(rules_of(config)) {
  SKEP_ASSERT(epoll_fd_ >= 0);
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.u64 = inbox_number;
  SKEP_ASSERT(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, inbox_->wake_fd(), &wake) == 0);
  if (!named_)
    addresses_.push_back(config.endpoint.host);
  meters_.pool_size.set(sizer_.size());
  for (std::uint64_t n = 0; n < config.connections + config.overflow; ++n) {
    auto& made = places_.emplace_back();
    made.connection = std::make_unique<redis_connection>(config, epoll_fd_, n, *this);
    made.backoff = flow::backoff{config.backoff};
  }
}

redis_loop::~redis_loop() {
  SKEP_ASSERT(waiting_.empty());
  ::close(epoll_fd_);
}

void redis_loop::run() {
  for (;;) {
    auto intake = inbox_->take();
    if (intake.addresses)
      resolved(std::move(*intake.addresses), clock::now());
    for (auto& batch : intake.batches)
      assign(std::move(batch));
    if (intake.stopping)
      break;
    round();
    wait_for_events();
  }
  end_all();
}

void redis_loop::round() {
  const auto now = clock::now();
  expire(now);
  for (auto& each : places_)
    each.connection->check(now);
  adapt_size(now);
  retire_spare();
  ping_silent(now);
  open_due(now);
  if (up_ > 0)
    send_waiting(now);
  else if (!hopeful(now))
    fail_waiting();
  for (auto& each : places_)
    each.connection->flush();
}

// -- batches --------------------------------------------------------------------------------------

void redis_loop::assign(redis_batch_ptr batch) {
  batch->timer = deadlines_.add(batch->deadline, batch.get());
  if (auto* to = usable(clock::now()); to != nullptr && waiting_.empty())
    to->connection->send(std::move(batch));
  else
    waiting_.push_back(std::move(batch)); // The next round sees whether that makes sense.
}

redis_loop::place* redis_loop::usable(time_point now) {
  place* best = nullptr;
  place* stale = nullptr;
  for (auto& each : places_) {
    // One that is not wanted any more does when there is no other.
    if (each.connection->state() != redis_connection::phase::ready
        || (!wanted(each) && best != nullptr))
      continue;
    if (silent(each, config_.silence_max, now))
      stale = &each;
    else if (best == nullptr || each.connection->awaited() < best->connection->awaited())
      best = &each;
  }
  if (stale != nullptr && (best == nullptr || best->connection->awaited() > 0))
    probe(*stale, now); // It takes commands as soon as it has answered.
  return best;
}

bool redis_loop::wanted(const place& at) const {
  return at.connection->number() < sizer_.size();
}

bool redis_loop::silent(const place& at, duration than, time_point now) const {
  return at.connection->state() == redis_connection::phase::ready && at.connection->awaited() == 0
         && now - at.connection->heard_at() >= than;
}

void redis_loop::probe(place& at, time_point now) {
  at.checking = true;
  at.connection->probe(now);
}

void redis_loop::send_waiting(time_point now) {
  while (!waiting_.empty()) {
    auto* to = waiting_.front()->done ? usable(now) : nullptr;
    if (to == nullptr && waiting_.front()->done)
      return; // Until a PONG comes.
    auto batch = std::move(waiting_.front());
    waiting_.pop_front();
    if (to == nullptr)
      finish(std::move(batch), {}); // Its time was up while it waited.
    else
      to->connection->send(std::move(batch));
  }
}

void redis_loop::fail_waiting() {
  for (auto batches = std::exchange(waiting_, {}); auto& batch : batches)
    finish(std::move(batch), fail(last_failure_));
}

void redis_loop::expire(time_point now) {
  deadlines_.advance(now, [this](redis_batch* batch) {
    batch->timer = 0;
    meters_.expired.inc();
    const auto done = std::exchange(batch->done, nullptr);
    done(fail(errc::deadline_exceeded,
              fmt::format("Redis at {} did not answer in time", config_.endpoint.name())));
  });
}

/// The batch leaves the client; who waits for it hears so, unless its time was up before.
void redis_loop::finish(redis_batch_ptr batch, expected<std::vector<redis_reply>> result) {
  if (batch->timer != 0)
    deadlines_.cancel(batch->timer);
  inbox_->release(batch->bytes);
  if (!batch->done)
    return;
  if (!result)
    meters_.failed.inc();
  batch->done(std::move(result));
}

void redis_loop::answered(redis_batch_ptr batch) {
  auto replies = std::move(batch->replies);
  finish(std::move(batch), std::move(replies));
}

// -- connections ----------------------------------------------------------------------------------

void redis_loop::ready(redis_connection& which) {
  auto& at = places_[which.number()];
  at.ready = true;
  at.ready_at = clock::now();
  ++up_;
  gave_up_ = false;
  meters_.connections_up.set(static_cast<std::int64_t>(up_));
  meters_.connects.inc();
  if (std::exchange(told_down_, false))
    log::info("Redis at {} answers", config_.endpoint.name());
}

void redis_loop::proved(redis_connection& which) {
  places_[which.number()].checking = false;
}

void redis_loop::lost(redis_connection& which, failure why, std::deque<redis_batch_ptr> sent) {
  auto& at = places_[which.number()];
  const auto now = clock::now();
  const bool retired = std::exchange(at.retiring, false);
  const bool evicted = std::exchange(at.checking, false);
  if (std::exchange(at.ready, false)) {
    --up_;
    meters_.connections_up.set(static_cast<std::int64_t>(up_));
    if (retired)
      return;
    (evicted ? meters_.evicted : meters_.lost).inc();
    // One that broke at once is no reason to try faster.
    if (now - at.ready_at > config_.backoff.wait_max)
      at.backoff.reset();
  } else if (!retired) {
    meters_.connect_failures.inc();
    gave_up_ = up_ == 0;
  }
  // It was silent for long, which is no sign that the server is gone: a new one shows.
  if (evicted)
    at.attempt_at = {}; // In this very round, so that who waits goes on waiting.
  else
    retry_later(at, now);
  if (up_ == 0 && why.code != errc::shutting_down)
    tell_down(why, now);
  for (auto& batch : sent)
    finish(std::move(batch), fail(why));
  last_failure_ = std::move(why);
}

void redis_loop::tell_down(const failure& why, time_point now) {
  if (told_down_ || now < quiet_until_)
    return;
  told_down_ = true;
  quiet_until_ = now + log_pause;
  log::warn("{}; trying again", why.detail);
}

void redis_loop::retry_later(place& at, time_point now) {
  at.attempt_at = now + at.backoff.next(random_);
}

bool redis_loop::hopeful(time_point now) const {
  if (gave_up_)
    return false;
  if (resolving_ && now < resolve_until_)
    return true;
  return std::any_of(places_.begin(), places_.end(), [](const place& each) {
    return each.connection->state() != redis_connection::phase::closed;
  });
}

/// How many connections are wanted for what is asked of them now.
void redis_loop::adapt_size(time_point now) {
  std::size_t commands = waiting_.size();
  for (const auto& each : places_)
    commands += each.connection->awaited();
  const auto demand = static_cast<double>(commands) / config_.pipeline_depth;
  const auto step = sizer_.observe(now, demand, demand > sizer_.size());
  const auto share = std::clamp(sizer_.utilisation(), 0.0, 1.0);
  meters_.utilisation_milli.store(static_cast<std::int64_t>(share * 1000));
  if (!step)
    return;
  (step->to > step->from ? meters_.grown : meters_.shrunk).inc();
  meters_.pool_size.set(sizer_.size());
}

/// Closes what is beyond the pool's size, once nobody waits for an answer on it.
void redis_loop::retire_spare() {
  for (auto& each : places_) {
    if (wanted(each) || each.connection->state() == redis_connection::phase::closed
        || each.connection->awaited() > 0)
      continue;
    each.retiring = true;
    each.connection->close(failure{errc::shutting_down, "the pool of connections has shrunk"});
  }
}

void redis_loop::ping_silent(time_point now) {
  for (auto& each : places_)
    if (silent(each, config_.ping_interval, now))
      probe(each, now);
}

void redis_loop::open_due(time_point now) {
  for (auto& each : places_) {
    if (!wanted(each))
      return;
    if (each.connection->state() != redis_connection::phase::closed || now < each.attempt_at)
      continue;
    if (!know_address(now))
      return;
    each.connection->open(addresses_[next_address_++ % addresses_.size()], now);
  }
}

/// Otherwise a lookup is under way.
bool redis_loop::know_address(time_point now) {
  if (!named_ || now < addresses_until_)
    return true;
  if (resolving_) {
    if (now >= resolve_until_)
      last_failure_
        = failure{errc::transport_failed, "the lookup of the name " + config_.endpoint.host
                                            + " of the Redis server takes too long"};
    return false;
  }
  resolving_ = true;
  resolve_until_ = now + config_.connect_timeout;
  resolve(config_.endpoint.host, inbox_);
  return false;
}

void redis_loop::resolved(redis_addresses addresses, time_point now) {
  resolving_ = false;
  if (addresses) {
    addresses_ = std::move(*addresses);
    addresses_until_ = now + addresses_ttl;
    return;
  }
  meters_.connect_failures.inc();
  gave_up_ = up_ == 0;
  last_failure_ = std::move(addresses.error());
  tell_down(last_failure_, now);
  for (auto& each : places_)
    if (each.connection->state() == redis_connection::phase::closed)
      retry_later(each, now);
}

// -- the thread -----------------------------------------------------------------------------------

int redis_loop::wait_ms() const {
  auto at = deadlines_.next();
  const auto sooner = [&at](std::optional<time_point> other) {
    if (other && (!at || *other < *at))
      at = other;
  };
  for (const auto& each : places_) {
    if (each.connection->state() != redis_connection::phase::closed)
      sooner(each.connection->due());
    else if (!resolving_ && wanted(each))
      sooner(each.attempt_at);
    if (each.connection->state() == redis_connection::phase::ready
        && each.connection->awaited() == 0)
      sooner(each.connection->heard_at() + config_.ping_interval);
  }
  sooner(sizer_.next());
  if (resolving_ && !waiting_.empty())
    sooner(resolve_until_);
  if (!at)
    return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*at - clock::now()).count();
  // A minute at most, so that the figure fits; the loop then just looks again.
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 60'000));
}

void redis_loop::wait_for_events() {
  std::array<epoll_event, events_max> events;
  const int n = epoll_wait(epoll_fd_, events.data(), events_max, wait_ms());
  SKEP_ASSERT(n >= 0 || errno == EINTR);
  for (int i = 0; i < n; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 != inbox_number)
      places_[event.data.u64].connection->on_events(event.events);
  }
}

void redis_loop::end_all() {
  const failure why{errc::shutting_down, "the Redis client was closed"};
  for (auto& each : places_)
    each.connection->close(why);
  last_failure_ = why;
  fail_waiting();
}

} // namespace skep::io
