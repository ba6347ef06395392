#pragma once

#include "actors/cache/slot_history.hpp"
#include "messages/cache.hpp"
#include "runtime/store/response_store.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// The slot of a key.
inline std::uint32_t slot_of(const msg::cache_key& key) {
  return flow::slot_map::slot_of(key.high);
}
inline std::uint32_t slot_of(const store::key128& key) {
  return flow::slot_map::slot_of(key.high);
}
inline store::key128 key_of(const msg::cache_key& key) {
  return {key.high, key.low};
}

/// How far a node's hand-overs are; shared by its front, its shards and its drain. Thread-safe.
struct handover_status {
  /// Plans at work.
  std::atomic<int> pending{0};
  /// view_mark() of the newest state the front has acted on.
  std::atomic<std::uint64_t> seen{0};
};

/// Orders views, none before the one of number 0.
inline std::uint64_t view_mark(const rt::cluster_state& state) {
  return state.view ? state.view->number + 1 : 0;
}

/// A leaving node may go: somebody else owns its slots and has got what it held, or nobody can take
/// it (no quorum, nobody else).
bool handed_over(const rt::cluster_state& state, const handover_status& status, std::uint64_t self);

/// What each shard of a node does after a change of view.
struct handover_plan {
  struct target {
    caf::actor store; ///< Its "cache/store".
    slot_set slots;
  };

  std::uint64_t view = 0;
  std::vector<target> targets;
  /// What this node owns now; the rest is dropped `keep` after it was handed over.
  slot_set owned;
  duration keep{};
  /// Forget everything first.
  bool outdated = false;
  /// The plan counts in handover_status::pending until the last shard lets go of this.
  std::shared_ptr<void> pending;
};

/// To a shard, instead of what it was told before. In-process only.
struct handover_order {
  std::shared_ptr<const handover_plan> plan;
};

/// What one shard sends one node: its entries of some slots, in batches of one slot each, so that
/// a batch has one place at the receiver however many shards that has. Pure. Not thread-safe.
class handover_stream {
public:
  /// Batches are about this large at most, but have at least one entry.
  static constexpr std::size_t batch_bytes_max = 64 * 1024;

  handover_stream(const store::response_store& from, const slot_set& slots);

  /// An entry was written meanwhile.
  void add(const store::key128& key);
  /// The next batch; the same keys again unless advance() was called. Empty: that was all.
  std::vector<msg::cache_entry> batch(const store::response_store& from, time_point now);
  /// The batch has arrived.
  void advance() {
    begin_ = end_;
  }

private:
  slot_set slots_;
  std::vector<store::key128> keys_; // Those there at the beginning by slot, then added ones.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// What was cleared moments ago: a batch or an answer on its way must not bring it back. Pure. Not
/// thread-safe.
class recent_clears {
public:
  /// A batch is never longer on its way.
  static constexpr duration keep = 10s;
  /// Beyond this many keys, or groups, everything counts as cleared.
  static constexpr std::size_t keys_max = 4096;

  /// What the request clears.
  void add(const msg::cache_clear_request& request, time_point now);
  /// An entry of this age would have been cleared, or may have been: an entry handed over is older
  /// than it was when it was sent. `group` as in cache_put_request.
  bool cover(const store::key128& key, std::uint64_t group, duration age, time_point now);

private:
  void forget(time_point now);
  void add_all(time_point now);

  std::unordered_map<store::key128, time_point, store::key128_hash> keys_;
  std::unordered_map<std::uint64_t, time_point> groups_;
  time_point newest_{};
  time_point all_{};
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::handover_order)
