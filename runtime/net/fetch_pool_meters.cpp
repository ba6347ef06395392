#include "runtime/net/fetch_pool_meters.hpp"

#include "runtime/net/metric_names.hpp"

#include <algorithm>

namespace skep::net {

namespace {

telemetry::gauge& gauge(telemetry::registry& m, const telemetry::metric_info& what,
                        const std::string& host) {
  return m.gauge(what.name, what.help, {{what.label, host}});
}

} // namespace

fetch_pool_meters::fetch_pool_meters(telemetry::registry& m, const std::string& of)
  : host(of), size(gauge(m, metric::fetch_pool_size, of)),
    used(gauge(m, metric::fetch_pool_in_use, of)),
    waiting(gauge(m, metric::fetch_pool_waiting, of)),
    grown(m.counter("skep_fetch_pool_grown_total", "Steps up of a pool's size.", {{"host", of}})),
    shrunk(
      m.counter("skep_fetch_pool_shrunk_total", "Steps down of a pool's size.", {{"host", of}})),
    evicted(m.counter("skep_fetch_pool_evicted_total",
                      "Connections not used again because a transfer failed on them.",
                      {{"host", of}})),
    waited(m.histogram("skep_fetch_pool_wait_seconds",
                       "What transfers waited for a connection, those that had to.",
                       {{"host", of}})),
    utilisation(m.gauge_callback("skep_fetch_pool_utilisation",
                                 "Moving average of the share of the size that is at work, 0 to 1.",
                                 {{"host", of}}, [this] { return utilisation_now(); })) {}

double fetch_pool_meters::utilisation_now() const {
  const auto of = static_cast<double>(std::max<std::int64_t>(1, size.value()));
  const auto average = static_cast<double>(average_milli.load(std::memory_order_relaxed)) / 1000;
  return std::clamp(average / of, 0.0, 1.0);
}

fetch_pool_book::fetch_pool_book(telemetry::registry& metrics)
  : metrics_(metrics), others_(std::make_unique<fetch_pool_meters>(metrics, "other")) {}

void fetch_pool_book::name(const std::string& host) {
  const std::lock_guard lock{mutex_};
  if (named_.size() >= hosts_max || named_.contains(host))
    return;
  named_.emplace(host, std::make_unique<fetch_pool_meters>(metrics_, host));
}

fetch_pool_meters& fetch_pool_book::meters_of(const std::string& host) {
  const std::lock_guard lock{mutex_};
  const auto it = named_.find(host);
  return it == named_.end() ? *others_ : *it->second;
}

void fetch_pool_book::add(const std::string& host, const flow::resize& step) {
  const std::lock_guard lock{mutex_};
  if (resizes_.size() == resizes_max)
    resizes_.pop_front();
  resizes_.push_back({host, step});
}

std::uint64_t fetch_pool_book::waiting() const {
  const std::lock_guard lock{mutex_};
  auto sum = others_->waiting.value();
  for (const auto& [host, meters] : named_)
    sum += meters->waiting.value();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, sum));
}

std::vector<fetch_pool_state> fetch_pool_book::states() const {
  const auto read = [](const fetch_pool_meters& from) {
    const auto count = [](const telemetry::gauge& of) {
      return static_cast<std::uint64_t>(std::max<std::int64_t>(0, of.value()));
    };
    return fetch_pool_state{from.host, count(from.size), count(from.used), count(from.waiting),
                            from.utilisation_now()};
  };
  std::vector<fetch_pool_state> made;
  const std::lock_guard lock{mutex_};
  for (const auto& [host, meters] : named_)
    made.push_back(read(*meters));
  if (others_->size.value() > 0)
    made.push_back(read(*others_));
  return made;
}

std::vector<fetch_pool_resize> fetch_pool_book::resizes() const {
  const std::lock_guard lock{mutex_};
  return {resizes_.begin(), resizes_.end()};
}

} // namespace skep::net
