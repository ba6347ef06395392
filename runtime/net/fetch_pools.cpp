#include "runtime/net/fetch_pools.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

namespace skep::net {

namespace {

flow::pool_sizer_config rules_of(const fetch_config& from) {
  flow::pool_sizer_config made;
  made.size_min = static_cast<std::uint32_t>(from.connections_per_host_min);
  made.size_max = static_cast<std::uint32_t>(from.connections_per_host_max);
  made.growth_factor = from.growth_factor;
  made.grow_above = from.grow_above;
  made.shrink_below = from.shrink_below;
  made.window = from.utilisation_window;
  made.shrink_after = from.shrink_after;
  return made;
}

bool has_room(const fetch_pool& pool) {
  return pool.working < pool.sizer.size() * pool.streams;
}

/// What a gauge that several pools share is told: the difference to what it was told before.
void show(telemetry::gauge& gauge, std::int64_t& shown, std::size_t now) {
  const auto value = static_cast<std::int64_t>(now);
  if (value != shown)
    gauge.add(value - std::exchange(shown, value));
}

} // namespace

std::string host_of(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos)
    return std::string{url};
  const auto scheme = url.substr(0, scheme_end);
  auto host = url.substr(scheme_end + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (const auto at = host.rfind('@'); at != std::string_view::npos)
    host = host.substr(at + 1);
  std::string made{host};
  std::transform(made.begin(), made.end(), made.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto bracket = made.rfind(']'); // The colons of an IPv6 address are no port's.
  if (made.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos)
    made += scheme == "https" || scheme == "HTTPS" ? ":443" : ":80";
  return made;
}

fetch_pool::fetch_pool(std::string name, const flow::pool_sizer_config& rules,
                       fetch_pool_meters& shown)
  : host(std::move(name)), sizer(rules), meters(shown) {}

fetch_pools::fetch_pools(const fetch_config& config, fetch_pool_book& book)
  : config_(config), book_(book), rules_(rules_of(config)) {}

fetch_pool& fetch_pools::pool_of(const std::string& host) {
  auto& known = pools_[host];
  if (!known) {
    known = std::make_unique<fetch_pool>(host, rules_, book_.meters_of(host));
    show_all(*known);
  }
  return *known;
}

bool fetch_pools::enter(fetch_id id, const std::string& host, fetch_seat& seat, time_point now) {
  auto& pool = pool_of(host);
  seat = {&pool, false, now, {}};
  pool.used_at = now;
  // Nobody overtakes those who wait.
  if (pool.queue.empty() && has_room(pool)) {
    ++pool.working;
    look(pool, now);
    return true;
  }
  seat.waiting = true;
  seat.place = pool.queue.insert(pool.queue.end(), id);
  look(pool, now);
  return false;
}

void fetch_pools::leave(fetch_seat& seat, bool http2, time_point now) {
  if (seat.pool == nullptr)
    return;
  auto& pool = *std::exchange(seat.pool, nullptr);
  if (seat.waiting)
    pool.queue.erase(seat.place);
  else
    --pool.working;
  if (http2)
    pool.streams = config_.http2_streams_max;
  pool.used_at = now;
  look(pool, now);
}

std::optional<fetch_id> fetch_pools::next_ready() {
  while (!ready_.empty()) {
    auto& pool = *ready_.back();
    if (!pool.queue.empty() && has_room(pool))
      return pool.queue.front();
    pool.ready = false;
    ready_.pop_back();
  }
  return std::nullopt;
}

void fetch_pools::seated(fetch_seat& seat, time_point now) {
  SKEP_ASSERT(seat.pool != nullptr && seat.waiting);
  auto& pool = *seat.pool;
  pool.queue.erase(seat.place);
  seat.waiting = false;
  ++pool.working;
  pool.meters.waited.record(now - seat.since);
  look(pool, now);
}

void fetch_pools::look(fetch_pool& pool, time_point now) {
  const auto wanted
    = static_cast<double>(pool.working + pool.queue.size()) / static_cast<double>(pool.streams);
  if (const auto step = pool.sizer.observe(now, std::ceil(wanted), !pool.queue.empty())) {
    (step->to > step->from ? pool.meters.grown : pool.meters.shrunk).inc();
    book_.add(pool.host, *step);
  }
  if (!pool.ready && !pool.queue.empty() && has_room(pool)) {
    pool.ready = true;
    ready_.push_back(&pool);
  }
  show_all(pool);
  look_again(pool);
}

void fetch_pools::show_all(fetch_pool& pool) {
  show(pool.meters.size, pool.shown_size, pool.sizer.size());
  show(pool.meters.used, pool.shown_used, (pool.working + pool.streams - 1) / pool.streams);
  show(pool.meters.waiting, pool.shown_waiting, pool.queue.size());
  const auto average = std::llround(pool.sizer.average() * 1000);
  pool.meters.average_milli.fetch_add(average - std::exchange(pool.shown_average, average),
                                      std::memory_order_relaxed);
}

void fetch_pools::look_again(const fetch_pool& pool) {
  auto at = pool.sizer.next();
  if (!at && pool.sizer.at_rest())
    at = pool.used_at + config_.connection_idle_ttl;
  if (at && (!due_ || *at < *due_))
    due_ = at;
}

void fetch_pools::tick(time_point now) {
  if (!due_ || *due_ > now)
    return;
  due_.reset();
  for (auto it = pools_.begin(); it != pools_.end();) {
    auto& pool = *it->second;
    look(pool, now);
    if (pool.sizer.at_rest() && !pool.ready && now - pool.used_at >= config_.connection_idle_ttl) {
      forget(pool);
      it = pools_.erase(it);
    } else {
      ++it;
    }
  }
}

/// Takes back what the pool's series were told of it.
void fetch_pools::forget(fetch_pool& pool) {
  show(pool.meters.size, pool.shown_size, 0);
  pool.meters.average_milli.fetch_sub(pool.shown_average, std::memory_order_relaxed);
}

} // namespace skep::net
