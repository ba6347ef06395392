#include "runtime/cluster/etcd_membership.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/etcd_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace skep::rt {

namespace {

/// After a request that failed, and between looks at a name that is taken.
constexpr duration retry_delay = 300ms;
/// Keepalives and reads per lease, so that two of three may be lost.
constexpr int rounds_per_lease = 3;
/// Numbers above this are no numbers of ours.
constexpr std::uint64_t number_max = std::uint64_t{1} << 62;

/// One kind of request: one at a time, and when the next is due.
struct turn {
  bool busy = false;
  time_point due{};

  bool ready(time_point now) const {
    return !busy && now >= due;
  }
};

class etcd_membership : public membership {
public:
  etcd_membership(etcd_membership_config config, std::unique_ptr<etcd_gateway> gateway,
                  membership_events events);
  ~etcd_membership() override {
    leave();
  }

  void peer_up(const msg::member& peer, time_point now) override;
  void peer_down(const std::string& name, time_point now) override;
  void state_came(const msg::member_state& state, std::optional<time_point> echoed_at,
                  time_point now) override;
  void tick(time_point now) override;
  void drain(time_point now) override;
  void leave() override;
  msg::member_state state() const override;
  view_ptr view() const override {
    return view_;
  }
  bool has_quorum(time_point now) const override {
    return in_view() && now < lease_until_ && now < read_until_;
  }
  std::string standing(time_point now) const override;

private:
  using body = expected<std::string>;

  // Our lease and our key.
  void lease_step();
  void grant();
  void keep_alive();
  void put_self();
  void self_put(const body& answer);
  void lease_lost();

  // The members and the view.
  void read_all();
  void take(const etcd::range_answer& all, time_point sent);
  void take_self(const etcd::range_answer& all, time_point sent);
  void settle(const msg::cluster_view& stored, std::vector<msg::member> members);
  void propose(msg::cluster_view next);
  void install(msg::cluster_view view);
  void watch_step();

  void note(const failure& why);
  void all_well();
  void request(const char* path, std::string text, std::function<void(const body&)> done);
  std::string self_key() const {
    return prefix_ + "members/" + self_.name;
  }
  bool in_view() const;

  msg::member self_;
  std::chrono::seconds ttl_;
  std::string prefix_;
  std::unique_ptr<etcd_gateway> gateway_;
  membership_events events_;
  /// Of the last tick: what happens between two is taken to happen then, so leases are never taken
  /// as longer than they are.
  time_point now_{};
  bool left_ = false;

  turn lease_turn_;
  std::uint64_t lease_ = 0; ///< 0: none.
  time_point lease_until_{};
  time_point keep_alive_at_{};
  /// Our key as it was put last; 0: it is not there.
  std::uint64_t self_revision_ = 0;
  /// The incarnation of whoever's key stands where ours should; 0 when that cannot be read.
  std::optional<std::uint64_t> taken_by_;
  bool self_changed_ = false;

  turn read_turn_;
  bool read_again_ = false; ///< Something changed while a read was under way.
  time_point read_until_{};
  std::uint64_t view_revision_ = 0;
  bool proposing_ = false;
  turn watch_turn_;

  std::set<std::string> hears_;
  view_ptr view_;
  std::string trouble_; ///< Of the last request; empty when it worked.
};

etcd_membership::etcd_membership(etcd_membership_config config,
                                 std::unique_ptr<etcd_gateway> gateway, membership_events events)
  : self_(std::move(config.self)), ttl_(config.ttl), prefix_("/skep/" + config.cluster + "/"),
    gateway_(std::move(gateway)), events_(std::move(events)) {
  SKEP_ASSERT(ttl_.count() > 0 && !self_.name.empty() && gateway_ != nullptr);
}

// -- what the link tells --------------------------------------------------------------------------

void etcd_membership::peer_up(const msg::member& peer, time_point) {
  hears_.insert(peer.name);
}

void etcd_membership::peer_down(const std::string& name, time_point) {
  hears_.erase(name);
}

/// Peers decide nothing here, but one with a newer view shows that there is something to read.
void etcd_membership::state_came(const msg::member_state& state, std::optional<time_point>,
                                 time_point) {
  if (state.installed.number > (view_ ? view_->number : 0))
    read_turn_.due = std::min(read_turn_.due, now_);
}

void etcd_membership::tick(time_point now) {
  now_ = now;
  if (left_)
    return;
  lease_step();
  if (read_turn_.ready(now_))
    read_all();
  watch_step();
}

void etcd_membership::drain(time_point now) {
  if (self_.draining)
    return;
  self_.draining = true;
  self_changed_ = true;
  if (events_.changed)
    events_.changed();
  tick(now);
}

/// Others see it at once when the revocation gets through, and when the lease ends otherwise.
void etcd_membership::leave() {
  if (std::exchange(left_, true) || lease_ == 0)
    return;
  gateway_->call("/v3/lease/revoke", etcd::lease_body(lease_), [](const body&) {});
  lease_until_ = {};
}

// -- our lease and our key ------------------------------------------------------------------------

void etcd_membership::lease_step() {
  if (!lease_turn_.ready(now_))
    return;
  if (lease_ == 0)
    grant();
  else if (now_ >= keep_alive_at_)
    keep_alive();
  else if (self_revision_ == 0 || self_changed_)
    put_self();
}

void etcd_membership::grant() {
  lease_turn_.busy = true;
  request("/v3/lease/grant", etcd::grant_body(ttl_), [this, sent = now_](const body& answer) {
    lease_turn_ = {false, now_ + retry_delay};
    const auto lease = answer ? etcd::read_grant(*answer) : fail(answer.error());
    if (!lease || lease->ttl.count() == 0)
      return note(lease ? failure{errc::malformed, "etcd granted a lease of no time"}
                        : lease.error());
    lease_ = lease->id;
    lease_until_ = sent + lease->ttl;
    keep_alive_at_ = sent + duration{lease->ttl} / rounds_per_lease;
    lease_turn_.due = now_;
    lease_step();
  });
}

void etcd_membership::keep_alive() {
  lease_turn_.busy = true;
  request("/v3/lease/keepalive", etcd::lease_body(lease_), [this, sent = now_](const body& answer) {
    lease_turn_ = {false, now_ + retry_delay};
    const auto lease = answer ? etcd::read_keepalive(*answer) : fail(answer.error());
    if (!lease)
      return note(lease.error());
    lease_turn_.due = now_;
    if (lease->ttl.count() == 0)
      return lease_lost();
    all_well();
    lease_until_ = std::max(lease_until_, sent + lease->ttl);
    keep_alive_at_ = sent + duration{lease->ttl} / rounds_per_lease;
  });
}

/// It ended while etcd was away, or somebody revoked it; our key went with it.
void etcd_membership::lease_lost() {
  log::warn("etcd ended the lease of {}; it registers again", self_.name);
  lease_ = 0;
  self_revision_ = 0;
  // What was read before says nothing about whether we are still in the view.
  lease_until_ = read_until_ = {};
  lease_step();
}

void etcd_membership::put_self() {
  lease_turn_.busy = true;
  self_changed_ = false;
  request("/v3/kv/txn",
          etcd::put_if_body(self_key(), etcd::member_text(self_), lease_, self_revision_),
          [this](const body& answer) { self_put(answer); });
}

void etcd_membership::self_put(const body& answer) {
  lease_turn_ = {false, now_ + retry_delay};
  const auto result = answer ? etcd::read_put_if(*answer) : fail(answer.error());
  if (!result) {
    // It may have worked all the same: the next try finds out.
    self_changed_ = true;
    return note(result.error());
  }
  if (result->done) {
    self_revision_ = result->revision;
    taken_by_.reset();
    lease_turn_.due = now_;
    read_turn_.due = now_;
    return tick(now_);
  }
  // The key is not as we thought. What is ours, from a lease before or from a put whose answer was
  // lost, is written over; a stranger's we wait out.
  self_changed_ = true;
  self_revision_ = 0;
  read_until_ = {};
  const auto before = std::exchange(taken_by_, std::nullopt);
  if (!result->found)
    return;
  const auto there = etcd::read_member(result->found->value);
  if (there && there->incarnation == self_.incarnation) {
    self_revision_ = result->found->mod_revision;
    lease_turn_.due = now_;
    return;
  }
  taken_by_ = there ? there->incarnation : 0;
  if (taken_by_ != before)
    log::warn("etcd has another {} (incarnation {}); this one waits for its lease to end",
              self_.name, *taken_by_);
}

// -- the members and the view ---------------------------------------------------------------------

void etcd_membership::watch_step() {
  if (!watch_turn_.ready(now_))
    return;
  watch_turn_.busy = true;
  gateway_->watch(
    etcd::watch_body(prefix_),
    [this] {
      read_turn_.due = now_;
      if (read_turn_.busy)
        read_again_ = true;
      else if (!left_)
        read_all();
    },
    [this] {
      watch_turn_ = {false, now_ + retry_delay};
    });
}

void etcd_membership::read_all() {
  read_turn_.busy = true;
  read_again_ = false;
  request("/v3/kv/range", etcd::range_body(prefix_), [this, sent = now_](const body& answer) {
    read_turn_ = {false, now_ + retry_delay};
    const auto all = answer ? etcd::read_range(*answer) : fail(answer.error());
    if (!all)
      return note(all.error());
    all_well();
    read_turn_.due = read_again_ ? now_ : now_ + duration{ttl_} / rounds_per_lease;
    take(*all, sent);
    if (read_again_ && read_turn_.ready(now_))
      read_all();
  });
}

/// All keys of one revision. Members are bound to leases: a key that somebody put by hand without
/// one would never go, so it does not count, nor does one under another's name.
void etcd_membership::take(const etcd::range_answer& all, time_point sent) {
  take_self(all, sent);
  view_revision_ = 0;
  std::vector<msg::member> members;
  msg::cluster_view stored;
  for (const auto& each : all.keys) {
    if (each.key == prefix_ + "view") {
      view_revision_ = each.mod_revision;
      // One that cannot be read counts as none, and is written over.
      if (auto view = etcd::read_view(each.value); view && view->number <= number_max)
        stored = std::move(*view);
      continue;
    }
    auto node = etcd::read_member(each.value);
    if (node && each.lease != 0 && each.key == prefix_ + "members/" + node->name)
      members.push_back(std::move(*node));
  }
  std::sort(members.begin(), members.end(),
            [](const msg::member& a, const msg::member& b) { return a.name < b.name; });
  settle(stored, std::move(members));
}

/// Only a read that shows our key as we put it last prolongs what we may believe of the view; one
/// from before we registered says nothing about it.
void etcd_membership::take_self(const etcd::range_answer& all, time_point sent) {
  const auto key = self_key();
  const auto found = std::find_if(all.keys.begin(), all.keys.end(),
                                  [&](const etcd::key_value& each) { return each.key == key; });
  const auto revision = found != all.keys.end() ? found->mod_revision : 0;
  if (self_revision_ == 0)
    return;
  if (revision == self_revision_) {
    read_until_ = sent + ttl_;
  } else if (all.revision >= self_revision_) {
    log::warn("somebody removed or changed {} in etcd; it is put again", key);
    self_revision_ = 0;
    read_until_ = {};
    lease_step();
  }
}

/// Installs what the view's key says, and writes the next view when the members are others. A key
/// that fell behind what we know (etcd lost its data) is brought forward again.
void etcd_membership::settle(const msg::cluster_view& stored, std::vector<msg::member> members) {
  const auto ours = view_ ? view_->number : 0;
  if (stored.number > ours)
    install(stored);
  const bool regressed
    = stored.number < ours || (stored.number == ours && view_ && stored != *view_);
  if (!regressed && stored.members == members)
    return;
  if (self_revision_ == 0 || now_ >= lease_until_ || proposing_)
    return; // Somebody who is a member does it, or we after the next read.
  propose({std::max(stored.number, ours) + 1, self_.name, std::move(members)});
}

void etcd_membership::propose(msg::cluster_view next) {
  proposing_ = true;
  auto text = etcd::put_if_body(prefix_ + "view", etcd::view_text(next), 0, view_revision_);
  request("/v3/kv/txn", std::move(text), [this, next = std::move(next)](const body& answer) {
    proposing_ = false;
    read_turn_.due = now_;
    const auto result = answer ? etcd::read_put_if(*answer) : fail(answer.error());
    if (!result)
      return note(result.error());
    if (result->done && next.number > (view_ ? view_->number : 0))
      install(next);
  });
}

void etcd_membership::install(msg::cluster_view view) {
  view_ = std::make_shared<const msg::cluster_view>(std::move(view));
  if (events_.installed)
    events_.installed(view_);
  if (events_.changed)
    events_.changed();
}

// -- what comes out -------------------------------------------------------------------------------

void etcd_membership::request(const char* path, std::string text,
                              std::function<void(const body&)> done) {
  gateway_->call(path, std::move(text), [this, done = std::move(done)](const body& answer) {
    if (!left_)
      done(answer);
  });
}

void etcd_membership::note(const failure& why) {
  if (trouble_.empty())
    log::warn("etcd: {}", why.detail);
  trouble_ = why.detail;
}

void etcd_membership::all_well() {
  if (!trouble_.empty())
    log::info("etcd answers again");
  trouble_.clear();
}

bool etcd_membership::in_view() const {
  return view_
         && std::any_of(view_->members.begin(), view_->members.end(), [this](const msg::member& m) {
              return m.name == self_.name && m.incarnation == self_.incarnation;
            });
}

msg::member_state etcd_membership::state() const {
  msg::member_state out;
  out.self = self_;
  out.hears.assign(hears_.begin(), hears_.end());
  if (view_)
    out.installed = *view_;
  return out;
}

std::string etcd_membership::standing(time_point now) const {
  if (has_quorum(now))
    return trouble_.empty() ? "quorum" : "quorum until the lease ends: etcd is silent";
  if (taken_by_)
    return fmt::format("the name {} is taken in etcd by incarnation {}, until its lease ends",
                       self_.name, *taken_by_);
  if (!trouble_.empty())
    return "etcd is silent: " + trouble_;
  if (self_revision_ == 0 || !view_)
    return "registers with etcd";
  return in_view() ? "waits for etcd" : "not in the view";
}

} // namespace

std::unique_ptr<membership> make_etcd_membership(etcd_membership_config config,
                                                 std::unique_ptr<etcd_gateway> gateway,
                                                 membership_events events) {
  return std::make_unique<etcd_membership>(std::move(config), std::move(gateway),
                                           std::move(events));
}

} // namespace skep::rt
