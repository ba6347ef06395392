#include "cli/bench/runner.hpp"

#include "cli/bench/schedule.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/net/sse_parser.hpp"

#include <nlohmann/json.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <queue>

namespace skep::cli::bench {

namespace {

using net::fetch_error;

constexpr duration progress_pause = 100ms;

/// How one request ended.
struct sample {
  net::fetch_result result;
  time_point intended{};
  time_point ended{};
  time_point first_token{};
  std::uint64_t chunks = 0;
  bool stream = false;
  bool done_seen = false;
  bool error_seen = false;
  bool cache_hit = false;
  bool retry_after = false;
};

/// Finished requests on their way from the fetch thread to the driver.
class finished_queue {
public:
  void push(sample&& done) {
    {
      std::lock_guard guard{mutex_};
      samples_.push_back(std::move(done));
    }
    some_.notify_one();
  }
  /// What is there, waiting until `deadline` for the first.
  std::deque<sample> take(time_point deadline) {
    std::unique_lock guard{mutex_};
    some_.wait_until(guard, deadline, [this] { return !samples_.empty(); });
    return std::exchange(samples_, {});
  }

private:
  std::mutex mutex_; // Guards samples_.
  std::condition_variable some_;
  std::deque<sample> samples_;
};

/// A delta with text in it.
bool has_content(std::string_view data) {
  constexpr std::string_view key = "\"content\":\"";
  const auto at = data.find(key);
  return at != std::string_view::npos && data.substr(at + key.size(), 1) != "\"";
}

class collector final : public net::fetch_handler {
public:
  collector(std::shared_ptr<finished_queue> to, time_point intended, bool stream)
    : to_(std::move(to)) {
    sample_.intended = intended;
    sample_.stream = stream;
  }
  void on_headers(int, const net::fetch_headers& headers) noexcept override {
    const auto cache = net::find_header(headers, "cache-status");
    sample_.cache_hit = cache && cache->find("; hit") != std::string_view::npos;
    sample_.retry_after = net::find_header(headers, "retry-after").has_value();
  }
  void on_data(std::string_view bytes) noexcept override {
    const auto parsed = parser_.push(bytes, [this](const net::sse_event& event) {
      if (event.data == "[DONE]") {
        sample_.done_seen = true;
        return;
      }
      ++sample_.chunks;
      sample_.error_seen = sample_.error_seen || event.data.starts_with("{\"error\"");
      if (sample_.first_token == time_point{} && has_content(event.data))
        sample_.first_token = clock::now();
    });
    sample_.error_seen = sample_.error_seen || !parsed;
  }
  void on_done(net::fetch_result result) noexcept override {
    sample_.ended = clock::now();
    sample_.result = std::move(result);
    to_->push(std::move(sample_));
  }

private:
  std::shared_ptr<finished_queue> to_;
  net::sse_parser parser_;
  sample sample_;
};

std::string kind_of(const sample& s) {
  const auto& r = s.result;
  switch (r.error) {
    case fetch_error::none: break;
    case fetch_error::connect_failed:
    case fetch_error::connect_timeout: return "refused connection";
    case fetch_error::first_byte_timeout:
    case fetch_error::idle_timeout:
    case fetch_error::total_timeout: return "time-out";
    case fetch_error::cut:
    case fetch_error::reset: return "cut";
    default: return std::string{to_string(r.error)};
  }
  if (r.status != 200)
    return "status " + std::to_string(r.status);
  if (s.error_seen)
    return "error in stream";
  return s.stream && !s.done_seen ? "cut" : "";
}

void count(const sample& s, phase_result& into) {
  into.bytes += s.result.body_bytes;
  into.chunks += s.chunks;
  if (s.result.status != 0)
    ++into.statuses[s.result.status];
  if (const auto wrong = kind_of(s); !wrong.empty()) {
    ++into.errors[wrong];
    const bool refused = s.result.status == 429 || s.result.status == 503;
    into.refused_without_retry_after += refused && !s.retry_after ? 1 : 0;
    return;
  }
  ++into.ok;
  into.cache_hits += s.cache_hit ? 1 : 0;
  into.latency.record(s.ended - s.intended);
  const auto first = s.first_token == time_point{} ? s.ended : s.first_token;
  into.first_token.record(first - s.intended);
}

} // namespace

struct runner::impl {
  impl(std::string t, std::string k)
    : target(std::move(t)), api_key(std::move(k)), queue(std::make_shared<finished_queue>()),
      client(fetch_limits()) {}

  static net::fetch_config fetch_limits() {
    net::fetch_config config;
    config.connections_max = 20'000;
    config.connections_per_host_max = 20'000;
    return config;
  }

  bool send(const phase_config& phase, prompt_source& prompts, time_point intended);

  const std::string target;
  const std::string api_key;
  const std::shared_ptr<finished_queue> queue;
  net::http_client client; // Last: its thread reports to the queue.
};

bool runner::impl::send(const phase_config& phase, prompt_source& prompts, time_point intended) {
  const bool stream = prompts.stream();
  nlohmann::json body{{"model", phase.model},
                      {"messages", {{{"role", "user"}, {"content", prompts.next()}}}}};
  if (stream)
    body["stream"] = true;
  if (phase.max_tokens > 0)
    body["max_tokens"] = phase.max_tokens;
  net::fetch_request request;
  request.method = "POST";
  request.url = target + "/v1/chat/completions";
  request.headers = {{"Content-Type", "application/json"}};
  if (!api_key.empty())
    request.headers.emplace_back("Authorization", "Bearer " + api_key);
  request.body = body.dump();
  request.streaming = stream;
  request.window_bytes = std::int64_t{1} << 40; // The client is never the slow one.
  request.first_byte_timeout = phase.timeout;
  request.idle_timeout = phase.timeout;
  request.total_timeout = phase.timeout;
  return client.start(std::move(request), std::make_shared<collector>(queue, intended, stream))
    .has_value();
}

runner::runner(std::string target, std::string api_key)
  : impl_(std::make_unique<impl>(std::move(target), std::move(api_key))) {}

runner::~runner() = default;

void runner::act(const std::string& path) {
  class ignore final : public net::fetch_handler {
    void on_done(net::fetch_result) noexcept override {}
  };
  net::fetch_request request;
  request.method = "POST";
  request.url = impl_->target + path;
  (void)impl_->client.start(std::move(request), std::make_shared<ignore>());
}

phase_result runner::run(const phase_config& phase, std::uint64_t seed,
                         const std::function<void(const progress&)>& show) {
  phase_result result;
  result.name = phase.name;
  result.measured = phase.measured;
  prompt_source prompts{phase, seed};
  const auto start = clock::now();
  const auto end = start + phase.duration;
  const bool open = phase.rate_per_s > 0;
  arrival_schedule arrivals{start, open ? phase.rate_per_s : 1, phase.duration};
  std::priority_queue<time_point, std::vector<time_point>, std::greater<>> lanes;
  for (std::uint32_t n = 0; !open && n < phase.concurrency; ++n)
    lanes.push(start);
  std::uint64_t in_flight = 0;
  const auto may_start
    = [&] { return phase.requests_max == 0 || result.requests < phase.requests_max; };
  const auto next_due = [&]() -> std::optional<time_point> {
    if (!may_start())
      return std::nullopt;
    if (open)
      return arrivals.next();
    return !lanes.empty() && lanes.top() < end ? std::optional{lanes.top()} : std::nullopt;
  };
  const auto start_one = [&](time_point intended) {
    ++result.requests;
    if (open)
      arrivals.taken();
    else
      lanes.pop();
    if ((open && in_flight >= phase.in_flight_max) || !impl_->send(phase, prompts, intended))
      ++result.errors["not sent"];
    else
      ++in_flight;
  };
  auto shown = start;
  for (auto due = next_due(); due || in_flight > 0; due = next_due()) {
    const auto now = clock::now();
    if (due && *due <= now) {
      // A closed loop measures from when it could start; an open one from when it should have.
      start_one(open ? *due : now);
      continue;
    }
    if (now - shown >= progress_pause) {
      shown = now;
      const auto share = std::chrono::duration<double>{now - start} / phase.duration;
      show({std::min(1.0, share), result.requests, result.error_count()});
    }
    for (const auto& done :
         impl_->queue->take(std::min(due.value_or(time_point::max()), now + 50ms))) {
      count(done, result);
      --in_flight;
      if (!open)
        lanes.push(done.ended + phase.think);
    }
  }
  result.took = clock::now() - start;
  return result;
}

} // namespace skep::cli::bench
