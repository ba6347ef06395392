#include "cli/bench/runner.hpp"

#include "cli/bench/schedule.hpp"
#include "cli/bench/target_pool.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/net/sse_parser.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <queue>

namespace skep::cli::bench {

namespace {

using net::fetch_error;

constexpr duration progress_pause = 100ms;

/// A request over all its tries.
struct job {
  std::string body;
  bool stream = false;
  time_point intended{};
  time_point deadline{};
  // What the node is asked for; max(): nothing.
  time_point answer_by = time_point::max();
  std::uint32_t worker = 0;
  std::size_t target = 0;
  std::size_t tries = 0;
};

/// How one try of a request ended.
struct sample {
  job asked;
  net::fetch_result result;
  time_point ended{};
  time_point first_token{};
  std::uint64_t chunks = 0;
  bool done_seen = false;
  bool error_seen = false;
  bool error_typed = false;
  bool cache_hit = false;
  std::string cache_word;
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

/// The API's error object with a message and a type.
bool is_typed_error(std::string_view body) {
  const auto read = nlohmann::json::parse(body, nullptr, false);
  if (!read.is_object() || !read.contains("error") || !read["error"].is_object())
    return false;
  const auto& error = read["error"];
  const auto text = [&error](const char* name) {
    return error.contains(name) && error[name].is_string()
           && !error[name].get_ref<const std::string&>().empty();
  };
  return text("message") && text("type");
}

/// A whole answer looks like one; a full parse of each would cost as much as sending it.
bool is_answer(std::string_view body) {
  return body.starts_with('{') && body.ends_with('}')
         && body.find("\"choices\"") != std::string_view::npos;
}

class collector final : public net::fetch_handler {
public:
  collector(std::shared_ptr<finished_queue> to, job asked) : to_(std::move(to)) {
    sample_.asked = std::move(asked);
  }
  void on_headers(int, const net::fetch_headers& headers) noexcept override {
    const auto cache = net::find_header(headers, "cache-status");
    sample_.cache_hit = cache && cache->find("; hit") != std::string_view::npos;
    sample_.cache_word = net::find_header(headers, "x-skep-cache").value_or("");
    sample_.retry_after = net::find_header(headers, "retry-after").has_value();
  }
  void on_data(std::string_view bytes) noexcept override {
    const auto parsed = parser_.push(bytes, [this](const net::sse_event& event) {
      if (event.data == "[DONE]") {
        sample_.done_seen = true;
        return;
      }
      ++sample_.chunks;
      if (event.data.starts_with("{\"error\"")) {
        sample_.error_seen = true;
        sample_.error_typed = is_typed_error(event.data);
      }
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
    case fetch_error::reset: return "closed unanswered";
    case fetch_error::cut: return "cut";
    default: return std::string{to_string(r.error)};
  }
  if (r.status != 200)
    return "status " + std::to_string(r.status);
  if (s.error_seen)
    return "error in stream";
  if (!s.asked.stream && !is_answer(r.body))
    return "malformed";
  return s.asked.stream && !s.done_seen ? "cut" : "";
}

/// No connection, or its end before a byte of an answer: any client with several addresses asks the
/// next one.
bool nobody_answered(const sample& s) {
  const auto error = s.result.error;
  return error == fetch_error::connect_failed || error == fetch_error::connect_timeout
         || error == fetch_error::reset;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char each) { return static_cast<char>(std::tolower(each)); });
  return text;
}

bool is_typed(const sample& s) {
  if (s.result.error != fetch_error::none)
    return s.error_seen && s.error_typed; // The node closes after an error in a stream.
  return s.result.status != 200 ? is_typed_error(s.result.body) : s.error_typed;
}

bool is_late(const sample& s, duration deadline) {
  constexpr duration grace_min = 250ms;
  return s.asked.answer_by != time_point::max()
         && s.ended > s.asked.answer_by + std::max<duration>(grace_min, deadline / 10);
}

void count(const sample& s, duration deadline, phase_result& into) {
  const auto wrong = kind_of(s);
  const bool typed = !wrong.empty() && is_typed(s);
  const bool late = is_late(s, deadline);
  into.typed_errors += typed ? 1 : 0;
  into.late += late ? 1 : 0;
  into.answered += (wrong.empty() || typed) && !late ? 1 : 0;
  into.bytes += s.result.body_bytes;
  into.chunks += s.chunks;
  if (s.result.status != 0)
    ++into.statuses[s.result.status];
  if (!wrong.empty()) {
    ++into.errors[wrong];
    const bool refused = s.result.status == 429 || s.result.status == 503;
    into.refused_without_retry_after += refused && !s.retry_after ? 1 : 0;
    into.broken_streams += s.asked.stream && s.chunks > 0 ? 1 : 0;
    return;
  }
  ++into.ok;
  into.cache_hits += s.cache_hit ? 1 : 0;
  if (!s.cache_word.empty())
    ++into.cache_words[lower_case(s.cache_word)];
  into.latency.record(s.ended - s.asked.intended);
  const auto first = s.first_token == time_point{} ? s.ended : s.first_token;
  into.first_token.record(first - s.asked.intended);
}

/// Sends requests and gets their samples back.
struct sender {
  sender(std::vector<std::string> urls, std::string key)
    : targets(std::move(urls)), api_key(std::move(key)), queue(std::make_shared<finished_queue>()),
      client(fetch_limits()) {}

  static net::fetch_config fetch_limits() {
    net::fetch_config config;
    config.connections_max = 20'000;
    config.connections_per_host_max = 20'000;
    return config;
  }

  /// To the target the job names; false when it could not even be started.
  bool send(job asked);

  target_pool targets;
  const std::string api_key;
  const std::shared_ptr<finished_queue> queue;
  net::http_client client; // Last: its thread reports to the queue.
};

bool sender::send(job asked) {
  const auto left
    = std::chrono::ceil<std::chrono::milliseconds>(asked.deadline - skep::clock::now());
  net::fetch_request request;
  request.method = "POST";
  request.url = targets.url(asked.target) + "/v1/chat/completions";
  request.headers = {{"Content-Type", "application/json"}};
  if (!api_key.empty())
    request.headers.emplace_back("Authorization", "Bearer " + api_key);
  if (asked.answer_by != time_point::max()) {
    const auto wanted
      = std::chrono::ceil<std::chrono::milliseconds>(asked.answer_by - skep::clock::now());
    request.headers.emplace_back("x-request-timeout-ms",
                                 std::to_string(std::max(wanted, 1ms).count()));
  }
  request.body = asked.body;
  request.streaming = asked.stream;
  request.window_bytes = std::int64_t{1} << 40; // The client is never the slow one.
  request.first_byte_timeout = std::max(left, 1ms);
  request.idle_timeout = request.first_byte_timeout;
  request.total_timeout = request.first_byte_timeout;
  return client.start(std::move(request), std::make_shared<collector>(queue, std::move(asked)))
    .has_value();
}

/// One phase while it runs.
class phase_run {
public:
  phase_run(sender& to, const phase_config& phase, std::uint64_t seed, time_point start)
    : to_(to), phase_(phase), prompts_(phase, seed), open_(phase.rate_per_s > 0), start_(start),
      end_(start + phase.duration), arrivals_(start, open_ ? phase.rate_per_s : 1, phase.duration) {
    result_.name = phase.name;
    result_.measured = phase.measured;
    for (std::uint32_t n = 0; !open_ && n < phase.concurrency; ++n)
      free_.emplace(start, n);
  }

  phase_result go(const std::function<void(const progress&)>& show) {
    auto shown = start_;
    for (auto due = next_due(); due || in_flight_ > 0; due = next_due()) {
      const auto now = clock::now();
      if (due && *due <= now) {
        // A closed loop measures from when it could start; an open one from when it should have.
        start_one(open_ ? *due : now);
        continue;
      }
      if (now - shown >= progress_pause) {
        shown = now;
        const auto share = std::chrono::duration<double>{now - start_} / phase_.duration;
        show({std::min(1.0, share), result_.requests, result_.error_count()});
      }
      for (auto& done : to_.queue->take(std::min(due.value_or(time_point::max()), now + 50ms)))
        finish(std::move(done));
    }
    result_.took = clock::now() - start_;
    return std::move(result_);
  }

private:
  std::optional<time_point> next_due() const {
    if (phase_.requests_max > 0 && result_.requests >= phase_.requests_max)
      return std::nullopt;
    if (open_)
      return arrivals_.next();
    return !free_.empty() && free_.top().first < end_ ? std::optional{free_.top().first}
                                                      : std::nullopt;
  }

  void start_one(time_point intended) {
    job asked;
    asked.worker = static_cast<std::uint32_t>(result_.requests);
    ++result_.requests;
    if (open_) {
      arrivals_.taken();
    } else {
      asked.worker = free_.top().second;
      free_.pop();
    }
    if (open_ && in_flight_ >= phase_.in_flight_max) {
      ++result_.errors["not sent"];
      return;
    }
    asked.intended = intended;
    const auto now = clock::now();
    asked.deadline = now + phase_.timeout;
    if (phase_.deadline.count() > 0)
      asked.answer_by = now + phase_.deadline;
    asked.target = to_.targets.pick(asked.worker, now);
    write_body(asked);
    send(std::move(asked));
  }

  void write_body(job& asked) {
    asked.stream = prompts_.stream();
    nlohmann::json body{{"model", phase_.model},
                        {"messages", {{{"role", "user"}, {"content", prompts_.next()}}}}};
    if (asked.stream)
      body["stream"] = true;
    if (phase_.max_tokens > 0)
      body["max_tokens"] = phase_.max_tokens;
    asked.body = body.dump();
  }

  void send(job asked) {
    ++asked.tries;
    if (to_.send(std::move(asked)))
      ++in_flight_;
    else
      ++result_.errors["not sent"];
  }

  void finish(sample done) {
    --in_flight_;
    if (nobody_answered(done)) {
      to_.targets.refused(done.asked.target, done.ended);
      if (done.asked.tries < to_.targets.tries_max() && done.ended < done.asked.deadline) {
        ++result_.moved;
        done.asked.target = to_.targets.after(done.asked.target, done.ended);
        send(std::move(done.asked));
        return;
      }
    }
    count(done, phase_.deadline, result_);
    if (!open_)
      free_.emplace(done.ended + phase_.think, done.asked.worker);
  }

  /// When a worker of a closed loop may ask next, and which one.
  using free_worker = std::pair<time_point, std::uint32_t>;

  sender& to_;
  const phase_config& phase_;
  prompt_source prompts_;
  const bool open_;
  const time_point start_;
  const time_point end_;
  arrival_schedule arrivals_;
  std::priority_queue<free_worker, std::vector<free_worker>, std::greater<>> free_;
  std::uint64_t in_flight_ = 0;
  phase_result result_;
};

} // namespace

struct runner::impl {
  sender to;
};

runner::runner(std::vector<std::string> targets, std::string api_key)
  : impl_(new impl{{std::move(targets), std::move(api_key)}}) {}

runner::~runner() = default;

void runner::act(const std::string& path) {
  class ignore final : public net::fetch_handler {
    void on_done(net::fetch_result) noexcept override {}
  };
  net::fetch_request request;
  request.method = "POST";
  request.url = impl_->to.targets.url(0) + path;
  (void)impl_->to.client.start(std::move(request), std::make_shared<ignore>());
}

phase_result runner::run(const phase_config& phase, std::uint64_t seed,
                         const std::function<void(const progress&)>& show) {
  return phase_run{impl_->to, phase, seed, clock::now()}.go(show);
}

} // namespace skep::cli::bench
