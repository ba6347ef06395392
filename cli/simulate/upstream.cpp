#include "cli/simulate/upstream.hpp"

#include "cli/simulate/port_claim.hpp"
#include "cli/simulate/service.hpp"
#include "runtime/base/timer_wheel.hpp"
#include "runtime/net/http_server.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace skep::cli::simulate {

namespace {

constexpr duration tick = 1ms;
// How often it is looked whether the listener has to go or to come back.
constexpr duration look_interval = 10ms;
constexpr duration idle_interval = 1s;
// Tokens are sent in steps no finer than this, so that a fast rate costs no timer per token.
constexpr duration step_min = 5ms;
// A client that reads nothing is asked again so often.
constexpr duration full_pause = 10ms;
// What is never answered ends after this long, as long as its client stays.
constexpr duration hold_max = 10min;

/// Work for the thread that owns everything. As many as there are connections, at most.
class task_queue {
public:
  using task = std::function<void()>;

  void push(task work) {
    {
      std::lock_guard guard{mutex_};
      tasks_.push_back(std::move(work));
    }
    some_.notify_one();
  }
  void stop() {
    {
      std::lock_guard guard{mutex_};
      stopping_ = true;
    }
    some_.notify_one();
  }
  /// What is there, waiting until `deadline` for the first; false once stop() was called.
  bool take(std::vector<task>& into, time_point deadline) {
    into.clear();
    std::unique_lock guard{mutex_};
    some_.wait_until(guard, deadline, [this] { return stopping_ || !tasks_.empty(); });
    into.swap(tasks_);
    return !stopping_;
  }

private:
  std::mutex mutex_; // Guards tasks_ and stopping_.
  std::condition_variable some_;
  std::vector<task> tasks_;
  bool stopping_ = false;
};

} // namespace

struct upstream::impl {
  using job_id = std::uint64_t;

  /// An answer on its way.
  struct job {
    std::shared_ptr<net::http_exchange> exchange;
    script what;
    bool works = false;
    time_point began{};
    bool headed = false;
    std::size_t next = 0;
    // Of the next piece, when bytes trickle.
    std::size_t offset = 0;
    std::uint64_t trickled = 0;
    timer_id timer = 0;
  };
  /// A call that waits for a place.
  struct waiting_call {
    job_id id = 0;
    job ready;
  };

  impl(port_claim claim, std::string listen_address, plan from, double scale)
    : port(std::move(claim)), address(std::move(listen_address)), room(std::move(from), scale),
      timers(skep::clock::now(), tick) {}

  expected<void> listen();
  void run();
  void look_at_listener(time_point now);

  void arrive(const net::http_request& request, std::shared_ptr<net::http_exchange> exchange);
  void begin(job_id id, job started);
  void play(job_id id);
  bool send_due(job& j, time_point now, std::optional<time_point>& next_at);
  bool trickle_due(job& j, time_point now, std::optional<time_point>& next_at);
  time_point due(const job& j) const;
  void conclude(job_id id, job& j, time_point now);
  void wait(job_id id, job& j, time_point until);
  void lost(job_id id);
  void finish(job_id id);
  void fill_places();

  port_claim port;
  const std::string address;
  service room;
  timer_wheel<job_id> timers;
  std::unordered_map<job_id, job> jobs;
  std::deque<waiting_call> waiting;
  std::size_t working = 0;
  bool filling = false;
  job_id last_id = 0;
  task_queue tasks;
  std::unique_ptr<net::http_server> server;
  std::thread thread;
};

// -- the thread -----------------------------------------------------------------------------------

expected<void> upstream::impl::listen() {
  net::http_server_config config;
  config.address = address;
  config.port = port.port();
  config.connections_max = room.config().connections_max;
  config.body_max_bytes = room.config().body_max;
  auto started = net::http_server::start(
    config, [this](net::http_request&& request, std::shared_ptr<net::http_exchange> exchange) {
      auto kept = std::make_shared<net::http_request>(std::move(request));
      tasks.push([this, kept, exchange] { arrive(*kept, exchange); });
    });
  if (!started)
    return fail(started.error());
  server = std::move(*started);
  return {};
}

void upstream::impl::run() {
  std::vector<task_queue::task> work;
  for (;;) {
    const auto pause = timers.size() > 0             ? tick
                       : room.faults().may_be_down() ? look_interval
                                                     : idle_interval;
    if (!tasks.take(work, skep::clock::now() + pause))
      return;
    for (auto& each : work)
      each();
    timers.advance(skep::clock::now(), [this](job_id id) {
      if (const auto found = jobs.find(id); found != jobs.end())
        found->second.timer = 0;
      play(id);
    });
    look_at_listener(skep::clock::now());
  }
}

/// Stopping the server closes its connections; their calls are reported as lost.
void upstream::impl::look_at_listener(time_point now) {
  const bool down = room.faults().down(now);
  if (down && server)
    server.reset();
  else if (!down && !server)
    (void)listen(); // The port is ours; what fails now is tried again at the next look.
}

// -- calls ----------------------------------------------------------------------------------------

void upstream::impl::arrive(const net::http_request& request,
                            std::shared_ptr<net::http_exchange> exchange) {
  const auto now = skep::clock::now();
  room.show_load(working, waiting.size());
  auto reply = room.answer(request, now);
  const auto id = ++last_id;
  job started{std::move(exchange), std::move(reply.what), reply.works};
  const auto places = room.config().concurrency_max;
  if (reply.works && places > 0 && working >= places) {
    if (waiting.size() < room.config().queue_max) {
      started.exchange->on_closed([this, id] { tasks.push([this, id] { lost(id); }); });
      waiting.push_back({id, std::move(started)});
      return;
    }
    started.what = room.overloaded(reply.spoken);
    started.works = false;
  }
  started.exchange->on_closed([this, id] { tasks.push([this, id] { lost(id); }); });
  begin(id, std::move(started));
}

void upstream::impl::begin(job_id id, job started) {
  started.began = skep::clock::now();
  working += started.works ? 1 : 0;
  jobs.emplace(id, std::move(started));
  play(id);
}

void upstream::impl::lost(job_id id) {
  const auto gone = std::find_if(waiting.begin(), waiting.end(),
                                 [id](const waiting_call& each) { return each.id == id; });
  if (gone != waiting.end())
    waiting.erase(gone);
  finish(id);
}

void upstream::impl::finish(job_id id) {
  const auto found = jobs.find(id);
  if (found == jobs.end())
    return;
  timers.cancel(found->second.timer);
  working -= found->second.works ? 1 : 0;
  jobs.erase(found);
  fill_places();
}

/// A call that ends at once comes by here again; it leaves the rest to the first.
void upstream::impl::fill_places() {
  if (std::exchange(filling, true))
    return;
  while (!waiting.empty() && working < room.config().concurrency_max) {
    auto first = std::move(waiting.front());
    waiting.pop_front();
    begin(first.id, std::move(first.ready));
  }
  filling = false;
}

// -- answers --------------------------------------------------------------------------------------

/// When the next piece, or the next byte of it, is to leave.
time_point upstream::impl::due(const job& j) const {
  const auto first = j.began + j.what.delay;
  if (j.what.trickle.count() > 0)
    return first + j.what.trickle * static_cast<std::int64_t>(j.trickled);
  const auto rate = room.config().tokens_per_s;
  if (rate <= 0 || j.next >= j.what.pieces.size())
    return first;
  const auto said = static_cast<double>(j.what.pieces[j.next].tokens);
  return first + std::chrono::duration_cast<duration>(std::chrono::duration<double>{said / rate});
}

void upstream::impl::wait(job_id id, job& j, time_point until) {
  timers.cancel(j.timer);
  j.timer = timers.add(until, id);
}

/// Sends what is due; then waits, or ends the answer.
void upstream::impl::play(job_id id) {
  const auto found = jobs.find(id);
  if (found == jobs.end())
    return;
  auto& j = found->second;
  const auto now = skep::clock::now();
  if (j.what.headless)
    return conclude(id, j, now);
  if (due(j) > now && !j.headed)
    return wait(id, j, due(j));
  if (!j.what.streamed) {
    if (due(j) > now)
      return wait(id, j, due(j));
    j.exchange->respond({j.what.status, j.what.headers, std::move(j.what.pieces.front().bytes)});
    return finish(id);
  }
  if (!std::exchange(j.headed, true))
    j.exchange->begin_stream(j.what.status, j.what.headers);
  std::optional<time_point> next_at;
  const bool all
    = j.what.trickle.count() > 0 ? trickle_due(j, now, next_at) : send_due(j, now, next_at);
  if (all)
    conclude(id, j, now);
  else if (j.exchange->gone())
    finish(id);
  else
    wait(id, j, next_at.value_or(now + full_pause));
}

/// True when the last piece has left; else `next_at` is when the next one is due, or nothing when
/// the client does not take it.
bool upstream::impl::send_due(job& j, time_point now, std::optional<time_point>& next_at) {
  while (j.next < j.what.pieces.size()) {
    if (const auto at = due(j); at > now) {
      next_at = std::max(at, now + step_min);
      return false;
    }
    // A copy: a piece that is not taken is sent again.
    if (!j.exchange->write(j.what.pieces[j.next].bytes))
      return false;
    ++j.next;
  }
  return true;
}

bool upstream::impl::trickle_due(job& j, time_point now, std::optional<time_point>& next_at) {
  while (j.next < j.what.pieces.size()) {
    if (const auto at = due(j); at > now) {
      next_at = at;
      return false;
    }
    const auto& bytes = j.what.pieces[j.next].bytes;
    if (!j.exchange->write(bytes.substr(j.offset, 1)))
      return false;
    ++j.trickled;
    if (++j.offset == bytes.size()) {
      j.offset = 0;
      ++j.next;
    }
  }
  return true;
}

void upstream::impl::conclude(job_id id, job& j, time_point now) {
  switch (j.what.end) {
    case finale::end: j.exchange->end(); return finish(id);
    case finale::abort: j.exchange->abort(); return finish(id);
    case finale::hold: break;
  }
  if (now < j.began + hold_max)
    return wait(id, j, j.began + hold_max);
  j.exchange->abort();
  finish(id);
}

// -- outside --------------------------------------------------------------------------------------

upstream::upstream(std::unique_ptr<impl> state) : impl_(std::move(state)) {}

expected<std::unique_ptr<upstream>> upstream::start(const std::string& address, std::uint16_t port,
                                                    plan from, double scale) {
  auto claim = port_claim::take(address, port);
  if (!claim)
    return fail(claim.error());
  auto state = std::make_unique<impl>(std::move(*claim), address, std::move(from), scale);
  if (auto done = state->listen(); !done)
    return fail(done.error());
  auto& own = *state;
  own.thread = std::thread{[&own] { own.run(); }};
  return std::unique_ptr<upstream>{new upstream{std::move(state)}};
}

upstream::~upstream() {
  impl_->tasks.stop();
  impl_->thread.join();
  impl_->server.reset();
}

std::string upstream::endpoint() const {
  const auto port = std::to_string(impl_->port.port());
  const bool is_v6 = impl_->address.find(':') != std::string::npos;
  return (is_v6 ? "[" + impl_->address + "]" : impl_->address) + ":" + port;
}

} // namespace skep::cli::simulate
