#pragma once

#include "messages/cluster.hpp"
#include "runtime/base/clock.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::rt {

using view_ptr = std::shared_ptr<const msg::cluster_view>;

/// Who belongs to the cluster, decided in numbered views: the interface of the two back ends. Pure:
/// time is passed in, nothing blocks. For the link's thread.
class membership {
public:
  virtual ~membership() = default;

  /// The link has (no longer) a session with this node.
  virtual void peer_up(const msg::member& peer, time_point now) = 0;
  virtual void peer_down(const std::string& name, time_point now) = 0;
  /// A peer's beat. `echoed_at`: when we sent the ping this beat answers, so the peer heard us no
  /// earlier; nothing when it answers none.
  virtual void state_came(const msg::member_state& state, std::optional<time_point> echoed_at,
                          time_point now)
    = 0;
  virtual void tick(time_point now) = 0;
  /// We are leaving: own nothing any more, then get out of the view.
  virtual void drain(time_point now) = 0;
  /// Our process ends: whoever keeps our membership beyond our peers should forget it now. Nothing
  /// else may be called afterwards but the destructor.
  virtual void leave() {}

  /// What our beats tell; `load` is left to the caller.
  virtual msg::member_state state() const = 0;
  /// The newest view; null before the first.
  virtual view_ptr view() const = 0;
  /// We are in the view, and enough others say so that ours is the only one of its number in
  /// force: what we own we may serve. False: the lease is over. A draining node keeps it, as it
  /// serves what it owns until a view is installed in which it owns nothing.
  virtual bool has_quorum(time_point now) const = 0;
  /// For people: "quorum", "no quorum: hears 1 of 3 seeds", "not in the view", "etcd is silent".
  virtual std::string standing(time_point now) const = 0;
};

/// What a membership tells, on the thread that called it, at the end of the call; never from within
/// the factory.
struct membership_events {
  std::function<void(const view_ptr&)> installed;
  /// What beats tell has changed: send them now.
  std::function<void()> changed;
};

/// Keeps the number of the last vote over restarts.
class ballot_store {
public:
  virtual ~ballot_store() = default;
  virtual std::uint64_t load() = 0;
  /// On disk when it returns; false when it could not be written.
  virtual bool save(std::uint64_t number) = 0;
};

/// Rules of the static back end.
struct static_membership_config {
  msg::member self;
  /// Names of the configured seeds: those who vote. Others may be members but have no vote.
  std::vector<std::string> seeds;
  /// An owner that no majority has answered for this long stops owning. Below the 1.8 s of silence
  /// after which a failure detector accuses at the earliest, so that a node that is cut off stops
  /// before its slots get a new owner.
  duration lease = 1500ms;
  /// A newcomer is proposed once it has been reachable for this long.
  duration join_delay = 300ms;
  /// A proposal without majority is proposed again with a higher number after this long, then after
  /// twice as long, and so on up to 4 times.
  duration proposal_timeout = 1s;
};

/// Views by vote among the configured seeds. The coordinator (the seed with the smallest name among
/// those reachable both ways that hear a majority of the seeds themselves) proposes a view whenever
/// the reachable nodes are not those of the current view; a seed votes for a number once, ever, and
/// only for the coordinator it sees itself; a majority of votes installs the view, and whoever
/// hears of an installed view of a higher number adopts it. No log, no leader: a view is decided
/// alone, so two nodes can never disagree on what a number means.
///
/// A single seed decides at once; two seeds survive no loss, because both are the majority; three
/// survive one. `ballots` must outlive the membership.
std::unique_ptr<membership> make_static_membership(static_membership_config config,
                                                   ballot_store& ballots, membership_events events,
                                                   time_point now);

} // namespace skep::rt
