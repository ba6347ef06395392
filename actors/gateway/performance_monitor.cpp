#include "actors/gateway/performance_monitor.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

namespace skep::actors {

namespace {

using families = std::vector<telemetry::family_snapshot>;

families watched_of(const families& shown) {
  families kept;
  std::copy_if(shown.begin(), shown.end(), std::back_inserter(kept),
               [](const auto& family) { return is_watched(family.name); });
  return kept;
}

} // namespace

bool is_watched(std::string_view name) {
  return std::any_of(watched_metrics.begin(), watched_metrics.end(),
                     [&](const auto* each) { return each->is(name); });
}

void traffic::add(const request_summary& done) {
  ++requests;
  response_time.record(done.total);
  prompt_tokens += done.usage.prompt;
  completion_tokens += done.usage.completion;
  const bool late = done.error == errc::deadline_exceeded || done.status == 504;
  // 429 is a bound of ours or of a provider's: the client did nothing wrong.
  const bool clients = done.status >= 400 && done.status < 500 && done.status != 429;
  if (late)
    ++timed_out;
  else if (clients)
    ++client_faults;
  else if (done.error != errc::none || done.status >= 400)
    ++failed;
  else
    ++succeeded;
}

void traffic::merge(const traffic& other) {
  response_time.merge(other.response_time);
  requests += other.requests;
  succeeded += other.succeeded;
  failed += other.failed;
  timed_out += other.timed_out;
  client_faults += other.client_faults;
  prompt_tokens += other.prompt_tokens;
  completion_tokens += other.completion_tokens;
}

performance_monitor::performance_monitor(telemetry::registry& metrics, std::string directory,
                                         time_point now)
  : metrics_(metrics), began_(now), next_sample_(now), history_(history),
    probe_(std::move(directory)) {}

void performance_monitor::ended(const request_summary& done, time_point now) {
  if (done.operational)
    return;
  std::lock_guard hold{traffic_lock_};
  lately_.at(now).add(done);
  since_start_.add(done);
}

void performance_monitor::sample(time_point now) {
  {
    std::lock_guard hold{lock_};
    if (now < next_sample_)
      return;
    next_sample_ = now + sample_interval;
  }
  // Outside of the lock: callbacks of the registry take locks of their own.
  const auto shown = metrics_.collect_if(is_watched);
  std::lock_guard hold{lock_};
  history_.add(now, shown);
  probe_.sample(now);
}

performance_view performance_monitor::view(time_point now) const {
  performance_view made;
  made.metrics = metrics_.collect();
  const auto watched = watched_of(made.metrics);
  {
    std::lock_guard hold{traffic_lock_};
    made.lately = lately_.sum(now);
    made.since_start = since_start_;
  }
  made.lately_covers = std::min(window, now - began_);
  std::lock_guard hold{lock_};
  made.minute = watched_growth{history_.growth(now, window, watched)};
  made.minutes = watched_growth{history_.growth(now, history, watched)};
  made.system = probe_.usage();
  return made;
}

} // namespace skep::actors
