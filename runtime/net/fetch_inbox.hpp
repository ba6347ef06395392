#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/net/fetch_transfer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace skep::net {

/// What other threads asked of one running transfer since the last look.
struct fetch_control {
  fetch_id id = 0;
  bool cancelled = false;
  std::int64_t credit = 0;
};

/// Everything other threads asked since the last look.
struct fetch_commands {
  std::vector<std::unique_ptr<fetch_transfer>> starts;
  std::vector<fetch_control> controls;
  bool stopping = false;
};

/// The way into the fetch thread. Bounded by construction: at most queue_max transfers are open,
/// and each has one slot in which cancels and grants add up, so control is never refused.
class fetch_inbox {
public:
  explicit fetch_inbox(std::size_t queue_max);
  fetch_inbox(const fetch_inbox&) = delete;
  fetch_inbox& operator=(const fetch_inbox&) = delete;
  ~fetch_inbox();

  /// Readable when there is something to take.
  int wake_fd() const noexcept {
    return wake_fd_;
  }

  /// errc::overloaded at queue_max, errc::shutting_down after stop().
  expected<void> offer(std::unique_ptr<fetch_transfer> transfer);
  void cancel(fetch_id id);
  void grant(fetch_id id, std::int64_t bytes);
  /// From here on offers are refused.
  void stop();

  /// Fetch thread only: empties the inbox.
  fetch_commands take();
  /// Fetch thread only: the transfer has ended, its slot is free.
  void close(fetch_id id);
  std::size_t open() const;

private:
  struct slot {
    bool listed = false;
    bool cancelled = false;
    std::int64_t credit = 0;
  };
  void list(fetch_id id, slot& where);
  void wake() const;

  const std::size_t queue_max_;
  int wake_fd_;
  mutable std::mutex mutex_;
  std::unordered_map<fetch_id, slot> open_;             // GUARDED_BY(mutex_)
  std::vector<std::unique_ptr<fetch_transfer>> starts_; // GUARDED_BY(mutex_)
  std::vector<fetch_id> listed_;                        // GUARDED_BY(mutex_)
  bool stopping_ = false;                               // GUARDED_BY(mutex_)
};

} // namespace skep::net
