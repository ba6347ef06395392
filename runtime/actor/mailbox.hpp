#pragma once

#include "runtime/base/spinlock.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/mailbox_element.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace skep::rt {

/// What a full mailbox does with data; control is never shed.
enum class overload_policy : std::uint8_t {
  /// The newcomer is answered errc::overloaded.
  reject,
  /// The newcomer is dropped; a request is still answered errc::overloaded.
  drop_newest,
  /// The oldest waiting message makes room: for event feeds.
  drop_oldest,
};

/// The bounds of one kind of actor's mailboxes.
struct mailbox_bounds {
  std::uint32_t messages_max = 1024;
  std::size_t bytes_max = 16u << 20;
  overload_policy policy = overload_policy::reject;
  /// What a refused caller is told to wait.
  std::chrono::milliseconds retry_after{250};
};

/// The books of one kind of actor: accepted = processed + failed + expired + cancelled +
/// dead_lettered + depth, at any quiet moment.
struct mailbox_metrics {
  mailbox_metrics(telemetry::registry& registry, const std::string& kind);
  /// Accepted and not ended.
  std::int64_t waiting() const;

  telemetry::counter& accepted;
  telemetry::counter& processed;
  telemetry::counter& failed;
  telemetry::counter& expired;
  telemetry::counter& cancelled;
  telemetry::counter& dead_lettered;
  telemetry::counter& refused;
  /// Data messages waiting, worked out from the books when somebody looks.
  telemetry::registration depth;
};

/// What all actors of one kind share; outlives them.
struct actor_kind {
  actor_kind(telemetry::registry& registry, std::string kind_name, mailbox_bounds kind_bounds);

  const std::string name;
  const mailbox_bounds bounds;
  mailbox_metrics metrics;
};

/// The data lane of a mailbox: a FIFO bounded in messages and bytes. Many producers, one consumer;
/// elements are freed by whoever pops them.
class data_lane {
public:
  enum class result : std::uint8_t {
    /// Taken; the consumer knows already.
    accepted,
    /// Taken; the consumer must be woken.
    accepted_wake,
    /// There is no room at present.
    refused,
    /// There never is room for as much.
    too_large,
    closed,
  };

  data_lane() = default;
  data_lane(const data_lane&) = delete;
  data_lane& operator=(const data_lane&) = delete;
  ~data_lane();

  /// Takes `what` out of the pointer only when accepted. With drop_oldest, what had to go is
  /// appended to `dropped`. A message larger than the byte bound is refused even by an empty lane.
  result push(caf::mailbox_element_ptr& what, std::size_t bytes, const mailbox_bounds& bounds,
              std::vector<caf::mailbox_element_ptr>& dropped);

  /// The oldest element; null when there is none, and then the next push asks for a wake.
  caf::mailbox_element_ptr pop();
  /// Refuses everything from now on and hands out what waited.
  std::vector<caf::mailbox_element_ptr> close();

  std::uint32_t depth() const {
    return depth_.load(std::memory_order_relaxed);
  }

  /// What an element costs: its call's bytes, or a flat sum for messages without one.
  static std::size_t cost_of(const caf::mailbox_element& what);

private:
  caf::mailbox_element_ptr take_front();

  spinlock lock_;
  caf::mailbox_element* head_ = nullptr;
  caf::mailbox_element* tail_ = nullptr;
  std::size_t bytes_ = 0;
  std::atomic<std::uint32_t> depth_{0};
  bool consumer_awake_ = false;
  bool closed_ = false;
};

} // namespace skep::rt
