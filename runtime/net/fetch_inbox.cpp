#include "runtime/net/fetch_inbox.hpp"

#include "runtime/base/assert.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <limits>
#include <string>

namespace skep::net {

namespace {

/// A full client frees slots at the pace of its provider; a tenth of a second is a few of them.
constexpr std::chrono::milliseconds full_retry_after{100};

/// Grants that nobody consumes must not wrap around.
std::int64_t add_saturated(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

} // namespace

fetch_inbox::fetch_inbox(std::size_t queue_max)
  : queue_max_(queue_max), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  SKEP_ASSERT(wake_fd_ >= 0);
}

fetch_inbox::~fetch_inbox() {
  ::close(wake_fd_);
}

expected<void> fetch_inbox::offer(std::unique_ptr<fetch_transfer> transfer) {
  const std::lock_guard lock{mutex_};
  if (stopping_)
    return fail(errc::shutting_down, "the HTTP client is being closed");
  if (open_.size() >= queue_max_)
    return fail(errc::overloaded,
                "all " + std::to_string(queue_max_) + " transfers of the HTTP client are in use",
                full_retry_after);
  open_.emplace(transfer->id(), slot{});
  starts_.push_back(std::move(transfer));
  if (starts_.size() + listed_.size() == 1)
    wake();
  return {};
}

void fetch_inbox::cancel(fetch_id id) {
  const std::lock_guard lock{mutex_};
  if (const auto it = open_.find(id); it != open_.end()) {
    it->second.cancelled = true;
    list(id, it->second);
  }
}

void fetch_inbox::grant(fetch_id id, std::int64_t bytes) {
  if (bytes <= 0)
    return;
  const std::lock_guard lock{mutex_};
  if (const auto it = open_.find(id); it != open_.end()) {
    it->second.credit = add_saturated(it->second.credit, bytes);
    list(id, it->second);
  }
}

void fetch_inbox::stop() {
  const std::lock_guard lock{mutex_};
  stopping_ = true;
  wake();
}

fetch_commands fetch_inbox::take() {
  std::uint64_t count = 0;
  // EAGAIN when nobody rang: the loop also looks after its own callbacks queued something.
  [[maybe_unused]] const auto n = ::read(wake_fd_, &count, sizeof count);
  fetch_commands out;
  const std::lock_guard lock{mutex_};
  out.stopping = stopping_;
  out.starts.swap(starts_);
  for (const fetch_id id : listed_) {
    const auto it = open_.find(id);
    if (it == open_.end())
      continue;
    out.controls.push_back({id, it->second.cancelled, it->second.credit});
    it->second = slot{};
  }
  listed_.clear();
  return out;
}

void fetch_inbox::close(fetch_id id) {
  const std::lock_guard lock{mutex_};
  open_.erase(id);
}

std::size_t fetch_inbox::open() const {
  const std::lock_guard lock{mutex_};
  return open_.size();
}

void fetch_inbox::list(fetch_id id, slot& where) {
  if (where.listed)
    return;
  where.listed = true;
  listed_.push_back(id);
  if (starts_.size() + listed_.size() == 1)
    wake();
}

void fetch_inbox::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the reader is awake anyway.
  [[maybe_unused]] const auto n = ::write(wake_fd_, &one, sizeof one);
}

} // namespace skep::net
