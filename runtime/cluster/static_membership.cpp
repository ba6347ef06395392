#include "runtime/base/assert.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/membership.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace skep::rt {

namespace {

/// Numbers above this are no numbers of ours: a broken peer must not use up the last one.
constexpr std::uint64_t number_max = std::uint64_t{1} << 62;
/// The time-out of proposals doubles this often.
constexpr int doublings_max = 2;
/// How long a fresh coordinator waits for members it does not reach but others do: longer than the
/// pause between two hellos.
constexpr duration coordinator_patience = 1500ms;

/// What the rest relies on: a number, and members sorted by name, each once.
bool well_formed(const msg::cluster_view& view) {
  const auto unsorted = [](const msg::member& a, const msg::member& b) { return a.name >= b.name; };
  return view.number > 0 && view.number <= number_max && !view.members.empty()
         && std::adjacent_find(view.members.begin(), view.members.end(), unsorted)
              == view.members.end();
}

const msg::member* find_member(const msg::cluster_view& view, const std::string& name) {
  const auto at
    = std::lower_bound(view.members.begin(), view.members.end(), name,
                       [](const msg::member& m, const std::string& n) { return m.name < n; });
  return at != view.members.end() && at->name == name ? &*at : nullptr;
}

bool is_in(const msg::cluster_view& view, const msg::member& node) {
  const auto* listed = find_member(view, node.name);
  return listed != nullptr && listed->incarnation == node.incarnation;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class static_membership : public membership {
public:
  static_membership(static_membership_config config, ballot_store& ballots,
                    membership_events events);

  void peer_up(const msg::member& peer, time_point now) override;
  void peer_down(const std::string& name, time_point now) override;
  void state_came(const msg::member_state& state, std::optional<time_point> echoed_at,
                  time_point now) override;
  void tick(time_point now) override;
  void drain(time_point now) override;
  msg::member_state state() const override;
  view_ptr view() const override;
  bool has_quorum(time_point now) const override;
  std::string standing(time_point now) const override;

private:
  /// A node there is a session with.
  struct peer {
    std::uint64_t incarnation = 0;
    /// The last that came; nothing before the first.
    std::optional<msg::member_state> state;
    /// Of the highest number it told; a fact, whatever came later.
    msg::cluster_view vote;
    /// The newest of our pings it answered was sent then.
    std::optional<time_point> echoed;
    std::optional<time_point> reachable_since;
  };

  // What the states say about who hears whom. `a` and `b` are names, our own included.
  bool hears(const std::string& a, const std::string& b) const;
  bool reachable(const std::string& name) const;
  bool may_coordinate(const std::string& seed) const;
  bool can_vote(const std::string& seed) const;
  const std::string* coordinator() const;

  void adopt(const msg::cluster_view& view);
  void settle(time_point now);
  void note_reachable(time_point now);
  void retry_ballot(time_point now);
  void consider_vote();
  void coordinate(time_point now);
  void propose(std::vector<msg::member> members, time_point now);
  void count_votes();
  void publish();

  bool vote(const msg::cluster_view& proposal);
  void install(view_ptr view);
  bool awaited(const msg::member& node, time_point now) const;
  std::vector<msg::member> wanted(time_point now) const;
  bool is_seed(const std::string& name) const;
  bool disputed_by(const peer& p) const;
  std::size_t seeds_heard(time_point now) const;

  duration lease_;
  duration join_delay_;
  duration proposal_timeout_;
  msg::member self_;
  std::set<std::string> seeds_;
  std::size_t majority_;
  ballot_store& ballots_;
  membership_events events_;

  std::map<std::string, peer> peers_;
  view_ptr view_;
  msg::cluster_view vote_;
  /// Of everything seen: votes and views, by anybody.
  std::uint64_t highest_ = 0;
  bool ballot_failed_ = false;
  time_point retry_ballot_at_{};
  /// Our proposal in the making, while we coordinate; number 0: none.
  msg::cluster_view proposal_;
  std::optional<time_point> coordinates_since_;
  int proposals_ = 0; ///< Made in a row without success.
  time_point propose_again_{};

  bool installed_ = false; ///< To be told at the end of the call.
  bool changed_ = false;
};

static_membership::static_membership(static_membership_config config, ballot_store& ballots,
                                     membership_events events)
  : lease_(config.lease), join_delay_(config.join_delay),
    proposal_timeout_(config.proposal_timeout), self_(std::move(config.self)),
    seeds_(config.seeds.begin(), config.seeds.end()), majority_(seeds_.size() / 2 + 1),
    ballots_(ballots), events_(std::move(events)) {
  SKEP_ASSERT(!seeds_.empty() && !self_.name.empty());
  highest_ = vote_.number = ballots_.load();
}

// -- what comes in --------------------------------------------------------------------------------

void static_membership::peer_up(const msg::member& node, time_point now) {
  peers_.erase(node.name);
  peers_[node.name].incarnation = node.incarnation;
  changed_ = true;
  settle(now);
}

void static_membership::peer_down(const std::string& name, time_point now) {
  if (peers_.erase(name) == 0)
    return;
  changed_ = true;
  settle(now);
}

void static_membership::state_came(const msg::member_state& state,
                                   std::optional<time_point> echoed_at, time_point now) {
  const auto entry = peers_.find(state.self.name);
  if (entry == peers_.end() || entry->second.incarnation != state.self.incarnation)
    return; // Of no session, or of an earlier life.
  auto& from = entry->second;
  from.state = state;
  if (state.vote.number > from.vote.number && state.vote.number <= number_max)
    from.vote = state.vote;
  if (echoed_at && (!from.echoed || *echoed_at > *from.echoed))
    from.echoed = echoed_at;
  highest_ = std::max(highest_, from.vote.number);
  adopt(state.installed);
  settle(now);
}

void static_membership::tick(time_point now) {
  settle(now);
}

void static_membership::drain(time_point now) {
  if (self_.draining)
    return;
  self_.draining = true;
  changed_ = true;
  settle(now);
}

/// A majority has voted for what anybody has installed, so it needs no further question.
void static_membership::adopt(const msg::cluster_view& view) {
  if (!well_formed(view) || (view_ && view.number <= view_->number))
    return;
  install(std::make_shared<const msg::cluster_view>(view));
}

void static_membership::install(view_ptr view) {
  highest_ = std::max(highest_, view->number);
  view_ = std::move(view);
  installed_ = changed_ = true;
}

/// Everything that may follow from a change or from time passing.
void static_membership::settle(time_point now) {
  note_reachable(now);
  retry_ballot(now);
  consider_vote();
  coordinate(now);
  count_votes();
  publish();
}

/// Tells what happened. The events may call back, so what is to be told is taken first.
void static_membership::publish() {
  const bool installed = std::exchange(installed_, false);
  const bool changed = std::exchange(changed_, false);
  if (installed && events_.installed)
    events_.installed(view_);
  if (changed && events_.changed)
    events_.changed();
}

// -- who hears whom -------------------------------------------------------------------------------

bool static_membership::hears(const std::string& a, const std::string& b) const {
  if (a == self_.name)
    return peers_.contains(b);
  const auto entry = peers_.find(a);
  // Of nodes that told us nothing we assume the best.
  return entry == peers_.end() || !entry->second.state || contains(entry->second.state->hears, b);
}

bool static_membership::reachable(const std::string& name) const {
  const auto entry = peers_.find(name);
  return entry != peers_.end() && entry->second.state && hears(name, self_.name);
}

/// Hears, and is heard by, a majority of the seeds, itself counted. One that is not could never get
/// a view installed, and would keep others from trying.
bool static_membership::may_coordinate(const std::string& seed) const {
  std::size_t count = 0;
  for (const auto& other : seeds_)
    if (other == seed || (hears(seed, other) && hears(other, seed)))
      ++count;
  return count >= majority_;
}

/// One without a ballot cannot propose either, and would keep others from it.
bool static_membership::can_vote(const std::string& seed) const {
  if (seed == self_.name)
    return !ballot_failed_;
  const auto entry = peers_.find(seed);
  return entry == peers_.end() || !entry->second.state || !entry->second.state->cannot_vote;
}

/// Null when there is none.
const std::string* static_membership::coordinator() const {
  for (const auto& seed : seeds_)
    if ((seed == self_.name || reachable(seed)) && may_coordinate(seed) && can_vote(seed))
      return &seed;
  return nullptr;
}

void static_membership::note_reachable(time_point now) {
  for (auto& [name, p] : peers_) {
    if (!reachable(name))
      p.reachable_since.reset();
    else if (!p.reachable_since)
      p.reachable_since = now;
  }
}

bool static_membership::is_seed(const std::string& name) const {
  return seeds_.contains(name);
}

// -- voting ---------------------------------------------------------------------------------------

/// Once per number, ever: the number is on disk before anybody hears of the vote.
bool static_membership::vote(const msg::cluster_view& proposal) {
  changed_ = changed_ || !ballot_failed_; // The others hear of it either way.
  ballot_failed_ = !ballots_.save(proposal.number);
  if (ballot_failed_)
    return false;
  vote_ = proposal;
  highest_ = std::max(highest_, vote_.number);
  changed_ = true;
  return true;
}

/// Whether there is room again, also where nobody proposes anything.
void static_membership::retry_ballot(time_point now) {
  if (!ballot_failed_ || now < retry_ballot_at_)
    return;
  retry_ballot_at_ = now + proposal_timeout_;
  if (!ballots_.save(vote_.number))
    return;
  ballot_failed_ = false;
  changed_ = true;
}

void static_membership::consider_vote() {
  const auto* chosen = is_seed(self_.name) ? coordinator() : nullptr;
  if (chosen == nullptr || *chosen == self_.name)
    return;
  const auto& proposal = peers_.at(*chosen).vote;
  if (proposal.number > vote_.number && proposal.proposer == *chosen && well_formed(proposal))
    vote(proposal);
}

/// A member we do not reach although another node does, while we only just began to coordinate:
/// after a pause or a cut of our own our session with it takes a moment, and it is not to blame.
bool static_membership::awaited(const msg::member& node, time_point now) const {
  const bool patient = !coordinates_since_ || now - *coordinates_since_ < coordinator_patience;
  if (node.name == self_.name || reachable(node.name) || !patient)
    return false;
  return std::any_of(peers_.begin(), peers_.end(), [&](const auto& entry) {
    return reachable(entry.first) && hears(entry.first, node.name);
  });
}

/// What the view should be, sorted by name: the reachable nodes as they describe themselves.
std::vector<msg::member> static_membership::wanted(time_point now) const {
  std::vector<msg::member> out{self_};
  for (const auto& [name, p] : peers_) {
    if (!p.reachable_since)
      continue;
    const auto& node = p.state->self;
    if ((view_ && is_in(*view_, node)) || now - *p.reachable_since >= join_delay_)
      out.push_back(node);
  }
  if (view_)
    for (const auto& node : view_->members)
      if (awaited(node, now))
        out.push_back(node);
  std::sort(out.begin(), out.end(),
            [](const msg::member& a, const msg::member& b) { return a.name < b.name; });
  return out;
}

void static_membership::coordinate(time_point now) {
  const auto* chosen = coordinator();
  // After a pause of our own we may still take ourselves for the coordinator: answers tell.
  if (chosen == nullptr || *chosen != self_.name || seeds_heard(now) < majority_)
    coordinates_since_.reset();
  else if (!coordinates_since_)
    coordinates_since_ = now;
  auto members = wanted(now);
  const auto seeds = std::count_if(members.begin(), members.end(),
                                   [this](const msg::member& m) { return is_seed(m.name); });
  // Members that say the number stands for something else (a seed lost its ballot file) make a
  // fresh number necessary.
  const bool disputed = std::any_of(peers_.begin(), peers_.end(),
                                    [this](const auto& p) { return disputed_by(p.second); });
  const bool content = view_ && view_->members == members && !disputed;
  if (chosen == nullptr || *chosen != self_.name || content
      || static_cast<std::size_t>(seeds) < majority_) {
    proposal_ = {};
    proposals_ = 0;
    return;
  }
  if (members != proposal_.members)
    proposals_ = 0;
  if (proposals_ == 0 || now >= propose_again_)
    propose(std::move(members), now);
}

void static_membership::propose(std::vector<msg::member> members, time_point now) {
  propose_again_ = now + proposal_timeout_ * (1 << std::min(proposals_, doublings_max));
  ++proposals_;
  proposal_ = {highest_ + 1, self_.name, std::move(members)};
  // Without our own vote there is no proposal; it is tried again at the time-out.
  if (!vote(proposal_))
    proposal_.number = 0;
}

/// The proposer alone counts; all others hear of the outcome.
void static_membership::count_votes() {
  if (proposal_.number == 0)
    return;
  std::size_t votes = 1; // Ours.
  for (const auto& [name, p] : peers_)
    if (is_seed(name) && p.vote.number == proposal_.number && p.vote.proposer == self_.name)
      ++votes;
  if (votes < majority_)
    return;
  install(std::make_shared<const msg::cluster_view>(std::exchange(proposal_, {})));
  proposals_ = 0;
}

// -- what comes out -------------------------------------------------------------------------------

msg::member_state static_membership::state() const {
  msg::member_state out;
  out.self = self_;
  for (const auto& entry : peers_)
    out.hears.push_back(entry.first);
  if (view_)
    out.installed = *view_;
  out.vote = vote_;
  out.cannot_vote = ballot_failed_;
  return out;
}

view_ptr static_membership::view() const {
  return view_;
}

/// It has installed other members under our view's number.
bool static_membership::disputed_by(const peer& p) const {
  return view_ && p.state && p.state->installed.number == view_->number
         && p.state->installed.members != view_->members;
}

/// Seeds that back our view: ourselves, and those that answered a ping sent within the lease. None
/// of them can know a newer view, for what their states show we have adopted.
std::size_t static_membership::seeds_heard(time_point now) const {
  std::size_t count = is_seed(self_.name) ? 1 : 0;
  for (const auto& [name, p] : peers_)
    if (is_seed(name) && p.echoed && now - *p.echoed < lease_ && !disputed_by(p))
      ++count;
  return count;
}

bool static_membership::has_quorum(time_point now) const {
  return view_ && is_in(*view_, self_) && seeds_heard(now) >= majority_;
}

std::string static_membership::standing(time_point now) const {
  const auto heard = seeds_heard(now);
  if (heard < majority_)
    return fmt::format("no quorum: hears {} of {} seeds", heard, seeds_.size());
  if (ballot_failed_)
    return "does not vote: its ballot file cannot be written";
  if (!view_)
    return "no view yet";
  if (!is_in(*view_, self_))
    return "not in the view";
  return "quorum";
}

} // namespace

std::unique_ptr<membership> make_static_membership(static_membership_config config,
                                                   ballot_store& ballots, membership_events events,
                                                   time_point) {
  return std::make_unique<static_membership>(std::move(config), ballots, std::move(events));
}

} // namespace skep::rt
