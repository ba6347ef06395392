#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/cluster/cluster_port.hpp"

#include <array>
#include <bitset>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

namespace skep::actors {

using slot_set = std::bitset<flow::slot_map::slot_count>;

/// The recent past of who owns what: it tells who may still have the entries of a slot whose owner
/// is new, and what this node has to hand over to whom. Several views may follow each other before
/// the entries of the first have arrived, so every map of the last `keep` counts, not only the one
/// before. A node that came back with another incarnation is another node: its memory is empty.
/// Pure: time is passed in. Not thread-safe.
class slot_history {
public:
  /// Older maps than this many are forgotten early: entries only they could find are misses.
  static constexpr std::size_t pasts_max = 8;

  /// What a new state means for the entries this node holds.
  enum class change : std::uint8_t {
    /// The view is the same.
    none,
    /// Another view: hand over what gives() says.
    view,
    /// Others owned our slots meanwhile, or do now: what we hold may be outdated.
    outdated,
  };

  /// Begins without a view. `self` is a node_id; a map is remembered for `keep` after its end.
  slot_history(std::uint64_t self, duration keep);

  /// Takes the newest state; one with an older view than known is passed over.
  change install(const rt::cluster_state_ptr& state, time_point now);
  /// Forgets maps that ended `keep` ago.
  void prune(time_point now);

  /// Who may have what the slot's first owner lacks, the latest first; empty when that owner has
  /// had the time to get everything.
  const std::vector<std::uint64_t>& previous(std::uint32_t slot) const {
    return previous_[slot];
  }
  /// The slots whose entries this node hands over, by the node_id that gets them.
  std::map<std::uint64_t, slot_set> gives() const;
  /// The slots this node owns, first or as a copy.
  slot_set owned() const;
  /// Null before the first state.
  const rt::cluster_state_ptr& state() const {
    return state_;
  }

private:
  /// Members' incarnations by node_id.
  using lives = std::unordered_map<std::uint64_t, std::uint64_t>;
  struct past {
    flow::slot_map slots;
    lives members;
    time_point until{};
    /// Not what was, but who may have had what.
    bool guessed = false;
  };

  void remember(past ended);
  past before_first(const rt::cluster_state& first) const;
  bool survived(const past& from, std::uint64_t id) const;
  bool is_new(const past& from, std::uint32_t slot, std::uint64_t id) const;
  std::uint64_t giver(const past& from, std::uint32_t slot) const;
  void find_previous();

  const std::uint64_t self_;
  const duration keep_;
  rt::cluster_state_ptr state_;
  lives members_;
  /// We owned under this view and then lost the majority's contact.
  bool lapsed_ = false;
  std::deque<past> pasts_; // The latest first.
  std::array<std::vector<std::uint64_t>, flow::slot_map::slot_count> previous_;
};

} // namespace skep::actors
