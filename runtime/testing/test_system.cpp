#include "runtime/testing/test_system.hpp"

#include "messages/core.hpp"
#include "runtime/cluster/loopback_wire.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <deque>
#include <mutex>
#include <thread>

namespace skep::rt {

namespace {

const char* word_of(int kind) {
  static constexpr const char* words[] = {"reply", "open", "chunk", "end", "failed"};
  return words[kind];
}

/// CAF's test coordinator, whose queue of jobs one thread may touch: that of the test. What other
/// threads (a store's, a socket's) wake waits in a list of its own until the test runs again.
class test_scheduler final : public caf::scheduler::test_coordinator {
public:
  using test_coordinator::test_coordinator;

  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>) {
    return new test_scheduler{system}; // The system owns its modules.
  }

  /// On the test's thread: takes over what other threads woke. False when that is nothing.
  bool take_over() {
    std::vector<caf::resumable*> woken;
    {
      const std::lock_guard guard{lock_};
      woken.swap(woken_);
    }
    jobs.insert(jobs.end(), woken.begin(), woken.end());
    return !woken.empty();
  }

protected:
  void enqueue(caf::resumable* job) override {
    if (std::this_thread::get_id() == owner_)
      return test_coordinator::enqueue(job);
    const std::lock_guard guard{lock_};
    woken_.push_back(job);
  }
  void stop() override {
    take_over();
    test_coordinator::stop();
  }

private:
  const std::thread::id owner_ = std::this_thread::get_id();
  std::mutex lock_;                    // Guards woken_.
  std::vector<caf::resumable*> woken_; // Each with the reference that a job holds.
};

/// Makes the requests of the test.
class prober_actor : public bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[](const msg::ack&) {
      // Nothing to do: it lives to ask.
    }};
  }
};

} // namespace

// -- answers --------------------------------------------------------------------------------------

void answers::add(const answer& got) {
  one item;
  item.kind = static_cast<int>(got.what);
  item.why = got.why;
  if (got.what != answer::kind::failed && got.content != nullptr
      && got.position < got.content->size())
    item.payload = got.content->copy(got.position);
  all_.push_back(std::move(item));
  if (got.last()) {
    complete_ = true;
    ++ends_;
  }
}

failure answers::why() const {
  return all_.empty() ? failure{} : all_.back().why;
}

std::string answers::story() const {
  std::string text;
  for (const auto& item : all_) {
    if (!text.empty())
      text += ' ';
    text += word_of(item.kind);
  }
  return text;
}

// -- test_system ----------------------------------------------------------------------------------

struct test_system::impl {
  explicit impl(hops how) : clock(false), env(system, clock, metrics), system(configure()) {
    if (how == hops::force_wire) {
      wire = loopback_wire::start(env).value();
      env.use_wire(wire);
    }
  }

  caf::actor_system_config& configure() {
    config.load<test_scheduler>();
    return config;
  }
  test_scheduler& scheduler() {
    return dynamic_cast<test_scheduler&>(system.scheduler());
  }

  // Actors may end as late as in the system's destructor, so what they use stands before it.
  caf::actor_system_config config;
  telemetry::registry metrics;
  std::deque<actor_kind> kinds;
  timers clock;
  environment env;
  caf::actor_system system;
  std::shared_ptr<loopback_wire> wire;
  std::vector<caf::actor> spawned;
  caf::actor prober;
  std::vector<std::pair<std::weak_ptr<answers>, std::uint64_t>> requests;
};

test_system::test_system(hops how) : impl_(std::make_unique<impl>(how)) {
  impl_->prober = env().spawn<prober_actor>(kind("prober", 1u << 20));
  caf::anon_send(impl_->prober, msg::ack{});
  run();
}

test_system::~test_system() {
  for (auto& who : impl_->spawned)
    caf::anon_send_exit(who, caf::exit_reason::kill);
  caf::anon_send_exit(impl_->prober, caf::exit_reason::kill);
  impl_->spawned.clear();
  impl_->prober = nullptr;
  env().directory().clear();
  run();
  env().use_wire(nullptr);
  impl_->wire.reset();
  run();
}

environment& test_system::env() {
  return impl_->env;
}

time_point test_system::now() const {
  return impl_->clock.now();
}

const actor_kind& test_system::kind(const std::string& name, std::uint32_t messages_max,
                                    std::size_t bytes_max) {
  mailbox_bounds bounds;
  bounds.messages_max = messages_max;
  bounds.bytes_max = bytes_max;
  return impl_->kinds.emplace_back(impl_->metrics, name, bounds);
}

caf::actor test_system::adopt(caf::actor who) {
  impl_->spawned.push_back(who);
  return env().reach(who);
}

void test_system::run() {
  auto& scheduler = impl_->scheduler();
  do {
    while (scheduler.take_over() || scheduler.try_run_once()) {
      // Until nobody has anything to do.
    }
    // What is on its way through the socket comes back as work.
  } while ((impl_->wire && impl_->wire->settle()) || scheduler.take_over() || scheduler.has_job());
}

void test_system::advance(duration by) {
  const auto until = now() + by;
  run();
  while (impl_->clock.next() <= until) {
    impl_->clock.advance_to(std::max(now(), impl_->clock.next()));
    run();
  }
  impl_->clock.advance_to(until);
  run();
}

skep::context test_system::context(duration deadline) const {
  skep::context made;
  made.id = make_request_id();
  made.deadline = now() + deadline;
  return made;
}

bounded_actor& test_system::prober() {
  return static_cast<bounded_actor&>(*caf::actor_cast<caf::abstract_actor*>(impl_->prober));
}

std::function<void(const answer&)> test_system::recorder(const std::shared_ptr<answers>& into) {
  return [into](const answer& got) { into->add(got); };
}

void test_system::remember(const std::shared_ptr<answers>& request, std::uint64_t key) {
  impl_->requests.emplace_back(request, key);
}

void test_system::give_up(const std::shared_ptr<answers>& request) {
  for (const auto& [known, key] : impl_->requests)
    if (known.lock() == request)
      prober().give_up(key);
  run();
}

void test_system::grant(const std::shared_ptr<answers>& request, std::uint64_t bytes) {
  for (const auto& [known, key] : impl_->requests)
    if (known.lock() == request)
      prober().grant(key, bytes);
  run();
}

void test_system::kill(const caf::actor& who) {
  caf::anon_send_exit(who, caf::exit_reason::kill);
  run();
}

} // namespace skep::rt
