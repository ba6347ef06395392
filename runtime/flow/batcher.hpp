#pragma once

// tidy: allow size, a template with its contract

#include "runtime/base/assert.hpp"
#include "runtime/base/clock.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace skep::flow {

/// Bounds of a batcher.
struct batcher_config {
  std::uint64_t count_max = 256;           ///< Of one batch, in the items' own count.
  std::uint64_t bytes_max = 256u << 10;    ///< Of one batch.
  duration age_max = 5ms;                  ///< An item waits this long for company at most.
  std::uint32_t in_flight_max = 4;         ///< Batches handed out and not done.
  std::uint64_t queue_count_max = 10'000;  ///< Waiting; further items are refused.
  std::uint64_t queue_bytes_max = 8 << 20; ///< Waiting; further items are refused.
};

/// Collects items into batches, in the order they came, by Nagle's rule (RFC 896): with nothing in
/// flight an item goes out at once, so an idle upstream costs nobody time; while batches are in
/// flight the next one fills until it is full or its oldest item has waited for age_max. Items are
/// never split, and two share a batch only within both of its bounds. The owner calls next() until
/// it gives nothing, after each push and done and when due() has come. Not thread-safe.
template <class Item>
class batcher {
public:
  /// Names an item that waits.
  using ticket = std::uint64_t;

  /// All bounds must be above zero.
  explicit batcher(batcher_config config) : config_(config) {
    SKEP_ASSERT(config.count_max > 0 && config.bytes_max > 0 && config.in_flight_max > 0);
  }

  /// An item of this size may be pushed at all.
  [[nodiscard]] bool fits(std::uint64_t count, std::uint64_t bytes) const {
    return count <= config_.count_max && bytes <= config_.bytes_max;
  }

  /// Queues an item that fits; nothing when the queue is full.
  [[nodiscard]] std::optional<ticket> push(Item item, std::uint64_t count, std::uint64_t bytes,
                                           time_point now) {
    SKEP_ASSERT(fits(count, bytes));
    if (count_ + count > config_.queue_count_max || bytes_ + bytes > config_.queue_bytes_max) {
      ++refusals_;
      return std::nullopt;
    }
    queue_.push_back({++last_ticket_, count, bytes, now, std::move(item)});
    count_ += count;
    bytes_ += bytes;
    return last_ticket_;
  }

  /// Takes a waiting item out; false when it went out already.
  bool erase(ticket which) {
    const auto at = std::lower_bound(queue_.begin(), queue_.end(), which,
                                     [](const entry& e, ticket t) { return e.number < t; });
    if (at == queue_.end() || at->number != which)
      return false;
    forget(*at);
    queue_.erase(at);
    return true;
  }

  /// The batch that is to go out now, and from now on in flight; empty when none is.
  [[nodiscard]] std::vector<Item> next(time_point now) {
    std::vector<Item> batch;
    if (in_flight_ >= config_.in_flight_max)
      return batch;
    if (!again_.empty()) {
      batch = std::move(again_.front());
      again_.pop_front();
    } else if (const auto at = due(); at && (*at <= now || full())) {
      batch = take();
    }
    in_flight_ += batch.empty() ? 0 : 1;
    return batch;
  }

  /// A batch that next() gave has ended, whatever became of it.
  void done() {
    SKEP_ASSERT(in_flight_ > 0);
    --in_flight_;
  }

  /// Has these go out once more as one batch, before anything that waits for its first turn. Called
  /// besides done().
  void again(std::vector<Item> batch) {
    SKEP_ASSERT(!batch.empty());
    again_.push_back(std::move(batch));
  }

  /// again() with each half of a batch: one bad item of n is alone after log2(n) rounds.
  void halve(std::vector<Item> failed) {
    SKEP_ASSERT(failed.size() > 1);
    const auto middle = failed.begin() + static_cast<std::ptrdiff_t>((failed.size() + 1) / 2);
    std::vector<Item> second(std::make_move_iterator(middle),
                             std::make_move_iterator(failed.end()));
    failed.erase(middle, failed.end());
    again(std::move(failed));
    again(std::move(second));
  }

  /// When next() has something to give if nothing else happens; nothing while all slots are taken
  /// or nobody waits.
  [[nodiscard]] std::optional<time_point> due() const {
    if (in_flight_ >= config_.in_flight_max || (queue_.empty() && again_.empty()))
      return std::nullopt;
    if (!again_.empty() || in_flight_ == 0)
      return time_point::min();
    return queue_.front().came + config_.age_max;
  }

  /// Neither waiting nor in flight.
  [[nodiscard]] bool idle() const {
    return queue_.empty() && again_.empty() && in_flight_ == 0;
  }
  [[nodiscard]] std::uint32_t in_flight() const {
    return in_flight_;
  }
  /// What waits for its first turn.
  [[nodiscard]] std::uint64_t queued_count() const {
    return count_;
  }
  [[nodiscard]] std::uint64_t queued_bytes() const {
    return bytes_;
  }
  /// Items refused since it was made.
  [[nodiscard]] std::uint64_t refusals() const {
    return refusals_;
  }

private:
  struct entry {
    ticket number = 0;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    time_point came{};
    Item item;
  };

  /// Waiting would not make the next batch larger: what is beyond either bound does not fit in.
  [[nodiscard]] bool full() const {
    return count_ >= config_.count_max || bytes_ >= config_.bytes_max;
  }

  std::vector<Item> take() {
    std::vector<Item> batch;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    while (!queue_.empty() && fits(count + queue_.front().count, bytes + queue_.front().bytes)) {
      auto& head = queue_.front();
      count += head.count;
      bytes += head.bytes;
      forget(head);
      batch.push_back(std::move(head.item));
      queue_.pop_front();
    }
    return batch;
  }

  void forget(const entry& gone) {
    count_ -= gone.count;
    bytes_ -= gone.bytes;
  }

  batcher_config config_;
  std::deque<entry> queue_;
  std::deque<std::vector<Item>> again_;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint32_t in_flight_ = 0;
  ticket last_ticket_ = 0;
  std::uint64_t refusals_ = 0;
};

} // namespace skep::flow
