#include "runtime/actor/timers.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/timer_wheel.hpp"

#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace skep::rt {

namespace {

constexpr duration tick = 1ms;

struct target {
  caf::weak_actor_ptr who;
  std::uint64_t key = 0;
};

void fire(const target& t) {
  if (auto who = t.who.lock())
    who->enqueue(caf::make_mailbox_element(nullptr,
                                           caf::make_message_id(caf::message_priority::high), {},
                                           timer_notice{t.key}),
                 nullptr);
}

} // namespace

struct timers::impl {
  explicit impl(bool real_time) : real(real_time), wheel(now(), tick) {
    if (real)
      ticker = std::thread{[this] { run(); }};
  }

  time_point now() const noexcept {
    return real ? clock::now() : time_point{duration{virtual_ticks.load()}};
  }

  // Takes what is due under the lock and fires it outside.
  void fire_due(std::unique_lock<std::mutex>& guard) {
    std::vector<target> due;
    wheel.advance(now(), [&due](target& t) { due.push_back(std::move(t)); });
    guard.unlock();
    for (const auto& t : due)
      fire(t);
    due.clear();
    guard.lock();
  }

  void run() {
    std::unique_lock guard{mutex};
    while (!stopping) {
      wake_at = wheel.next().value_or(time_point::max());
      if (wake_at == time_point::max())
        wake.wait(guard);
      else
        wake.wait_until(guard, wake_at);
      if (!stopping)
        fire_due(guard);
    }
  }

  const bool real;
  std::atomic<duration::rep> virtual_ticks{duration{1h}.count()};
  mutable std::mutex mutex; // Guards everything below.
  timer_wheel<target> wheel;
  time_point wake_at = time_point::max();
  bool stopping = false;
  std::condition_variable wake;
  std::thread ticker;
};

timers::timers(bool real_time) : impl_(std::make_unique<impl>(real_time)) {}

timers::~timers() {
  stop();
}

void timers::stop() {
  {
    std::lock_guard guard{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->ticker.joinable())
    impl_->ticker.join();
}

time_point timers::now() const noexcept {
  return impl_->now();
}

timer_handle timers::set(time_point deadline, const caf::strong_actor_ptr& who, std::uint64_t key) {
  std::unique_lock guard{impl_->mutex};
  const auto id
    = impl_->wheel.add(deadline, target{caf::actor_cast<caf::weak_actor_ptr>(who), key});
  if (impl_->real && deadline < impl_->wake_at) {
    impl_->wake_at = deadline;
    guard.unlock();
    impl_->wake.notify_one();
  }
  return id;
}

bool timers::cancel(timer_handle timer) {
  if (timer == 0)
    return false;
  std::lock_guard guard{impl_->mutex};
  return impl_->wheel.cancel(timer);
}

time_point timers::next() const {
  std::lock_guard guard{impl_->mutex};
  return impl_->wheel.next().value_or(time_point::max());
}

void timers::advance_to(time_point now) {
  SKEP_ASSERT(!impl_->real);
  impl_->virtual_ticks.store(now.time_since_epoch().count());
  std::unique_lock guard{impl_->mutex};
  impl_->fire_due(guard);
}

std::size_t timers::size() const {
  std::lock_guard guard{impl_->mutex};
  return impl_->wheel.size();
}

} // namespace skep::rt
