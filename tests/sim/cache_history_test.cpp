// Whole caches of several nodes above a network that delays and reorders, in one thread and virtual
// time: random puts, gets, leases and clears while nodes come, leave, crash and are cut off. Every
// answer is held against the history of what was done (cache_history.hpp says what is promised).
// SKEP_SIM_SEED=n replays one seed, SKEP_SIM_SEEDS=n sets how many run.
#include "runtime/flow/rng.hpp"
#include "tests/sim/cache_history.hpp"
#include "tests/support/cache_cluster.hpp"
#include "tests/support/catch.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

using namespace skep;
using namespace skep::test;

namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t keys = 8;
constexpr std::uint32_t groups = 3; // 0: none.
constexpr std::uint32_t steps = 400;
constexpr duration transit = 1s;

/// An invariant that does not hold.
struct violation : std::runtime_error {
  using runtime_error::runtime_error;
};

/// How a seed's cluster is built.
struct plan {
  std::uint32_t nodes = 3;
  std::uint32_t copies = 1;
  bool second_level = false;
  bool near = true;
  duration near_ttl = 500ms;
  duration stale{};
  double refresh_ahead = 0;
  double jitter = 0;
};

plan plan_of(std::uint64_t seed) {
  flow::rng random{seed ^ 0xcac4e};
  plan made;
  made.nodes = 1 + random.below(4);
  made.copies = 1 + random.below(2);
  made.second_level = random.below(3) == 0;
  made.near = random.below(3) > 0;
  made.near_ttl = random.below(2) == 0 ? 500ms : 3s;
  made.stale = random.below(2) * 2s;
  made.refresh_ahead = random.below(2) * 0.3;
  made.jitter = random.below(2) * 0.1;
  return made;
}

cache_history::bounds bounds_of(const plan& p, duration unrest) {
  cache_history::bounds made;
  made.stale = p.stale;
  made.transit = transit;
  made.near_ttl = p.near_ttl;
  made.jitter = p.jitter;
  made.one_owner = p.copies == 1 && !p.second_level;
  made.unrest = unrest;
  return made;
}

/// One seed's run.
class play {
public:
  play(std::uint64_t seed, const plan& p)
    : random_(seed), plan_(p), history_(bounds_of(p, handover_keep)) {
    cluster_.copies = p.copies;
    cluster_.rules.near.bytes_max = p.near ? 1 << 20 : 0;
    cluster_.rules.near.ttl = p.near_ttl;
    cluster_.rules.handover_keep = handover_keep;
    cluster_.rules.refresh_ahead = p.refresh_ahead;
    cluster_.shard.store.stale = p.stale;
    cluster_.shard.store.refresh_ahead = p.refresh_ahead;
    cluster_.shard.store.ttl_jitter = p.jitter;
    if (p.second_level)
      cluster_.with_second_level();
    for (std::uint32_t n = 0; n < p.nodes; ++n) {
      names_.push_back(std::string(1, static_cast<char>('a' + n)));
      cluster_.add(names_.back());
      lives_[names_.back()] = 1;
    }
    cluster_.install(names_);
    members_ = names_;
    history_.disturbed(now());
    hold();
  }

  void run() {
    for (std::uint32_t n = 0; n < steps; ++n) {
      step();
      cluster_.sys.run();
      collect();
      if (now() - settled_ > transit - 250ms)
        settle();
    }
    settle();
    cluster_.sys.advance(11s); // Longer than any get or clear takes.
    collect();
    if (!gets_.empty() || !clears_.empty())
      throw violation{"a call was never answered"};
    converge();
  }
  std::uint64_t answers() const {
    return answers_;
  }

private:
  struct open_get : cache_history::asked {
    std::shared_ptr<rt::answers> got;
  };
  struct open_clear {
    std::size_t number = 0;
    std::shared_ptr<rt::answers> got;
  };
  struct lease {
    std::uint64_t key = 0;
    std::string node;
    std::uint64_t id = 0;
  };

  static constexpr duration handover_keep = 3s;

  time_point now() const {
    return cluster_.sys.now();
  }
  std::uint32_t below(std::uint32_t n) {
    return random_.below(n);
  }
  template <class T>
  T& any(std::vector<T>& of) {
    return of[below(static_cast<std::uint32_t>(of.size()))];
  }

  void step() {
    cluster_.sys.advance(1us); // No two things happen at the same time.
    if (!untold_.empty())
      history_.disturbed(now());
    const auto what = below(100);
    if (what < 15)
      put(below(keys), any(members_));
    else if (what < 45)
      get(0);
    else if (what < 55)
      use_lease();
    else if (what < 60)
      clear();
    else if (what < 80)
      deliver();
    else if (what < 92)
      cluster_.sys.advance(milliseconds{1 + below(200)});
    else if (what < 96 && !untold_.empty())
      tell();
    else if (what < 98)
      settle();
    else if (untold_.empty())
      change();
  }

  // -- what callers do ----------------------------------------------------------------------------

  void put(std::uint64_t key, const std::string& at) {
    msg::cache_put_request request;
    request.key = cluster_.key(key);
    request.group = key % groups;
    request.kind = static_cast<std::uint8_t>(below(2));
    request.ttl_ms = below(4) == 0 ? 60'000 : 1000 + below(5000);
    request.value
      = history_.put({key, request.group, request.kind, milliseconds{request.ttl_ms}}, at, now());
    cluster_.sys.tell(cluster_.nodes.at(at).front, request);
  }
  void get(std::uint64_t lost) {
    const auto& at = any(members_);
    ask(below(keys), at, below(2) == 0 ? 500 + below(3000) : 0, lost);
  }
  void ask(std::uint64_t key, const std::string& at, std::uint32_t lease_ms, std::uint64_t lost) {
    if (lost != 0)
      history_.ended(key, lost);
    const auto begun = now();
    gets_.push_back({{key, at, lease_ms, begun}, cluster_.ask_lease(at, key, lost, lease_ms)});
  }
  /// Whoever won produces the value, gives up, or is gone without a word.
  void use_lease() {
    if (leases_.empty())
      return;
    const auto at = below(static_cast<std::uint32_t>(leases_.size()));
    const auto used = leases_[at];
    leases_.erase(leases_.begin() + at);
    const bool there = std::find(members_.begin(), members_.end(), used.node) != members_.end();
    const auto what = below(4);
    if (there && what < 2) {
      put(used.key, used.node);
    } else if (there && what == 2) {
      history_.ended(used.key, used.id);
      cluster_.sys.tell(cluster_.nodes.at(used.node).front,
                        msg::cache_release_request{cluster_.key(used.key), used.id});
    } else {
      ask(used.key, any(members_), 1000, used.id);
    }
  }
  void clear() {
    msg::cache_clear_request request;
    const auto key = below(keys);
    std::size_t number = 0;
    switch (below(4)) {
      case 0:
        request.all = true;
        number = history_.clear_all(now());
        break;
      case 1:
        request.group = 1 + below(groups - 1);
        number = history_.clear_group(request.group, now());
        break;
      default: request.key = cluster_.key(key); number = history_.clear_key(key, now());
    }
    clears_.push_back({number, cluster_.sys.ask(cluster_.nodes.at(any(members_)).front, request)});
    // Somebody cannot be told of it, or some members do not know of others yet.
    if (!untold_.empty() || second_down_)
      history_.disturbed(now());
  }

  void collect() {
    std::erase_if(clears_, [&](const open_clear& each) {
      if (each.got->last<msg::ack>() != nullptr)
        history_.cleared(each.number, now());
      return each.got->complete();
    });
    std::erase_if(gets_, [&](const open_get& each) {
      if (each.got->ends() > 1)
        throw violation{"a get was answered twice"};
      if (const auto* reply = each.got->last<msg::cache_get_reply>())
        take(each, *reply);
      return each.got->complete();
    });
  }
  void take(const open_get& get, const msg::cache_get_reply& reply) {
    ++answers_;
    const auto wrong = history_.answered(get, reply, now());
    if (!wrong.empty())
      throw violation{fmt::format("{} (asked at {})", wrong, get.node)};
    const auto turn = static_cast<msg::cache_turn>(reply.turn);
    if (get.lease_ms == 0 && turn != msg::cache_turn::none)
      throw violation{"a get without a lease got a turn"};
    if (!reply.found && turn == msg::cache_turn::none)
      throw violation{"an answer says nothing"};
    if (turn == msg::cache_turn::won) {
      if (reply.leader != get.node)
        throw violation{"a lease has another leader than its winner"};
      leases_.push_back({get.key, get.node, reply.lease});
    } else if (turn == msg::cache_turn::wait && below(4) == 0) {
      leases_.push_back({get.key, get.node, reply.lease}); // Will report it lost, or so.
    }
  }

  // -- what the network and the cluster do --------------------------------------------------------

  void hold() {
    // All of them: links keep the order, so nothing may pass what waits.
    cluster_.net.holds = [](const caf::mailbox_element&) { return true; };
  }
  void deliver() {
    for (auto n = below(12); n > 0 && cluster_.net.held() > 0; --n) {
      cluster_.net.deliver(below(static_cast<std::uint32_t>(cluster_.net.held())));
      cluster_.sys.run();
    }
  }
  void settle() {
    cluster_.net.holds = nullptr;
    while (cluster_.net.held() > 0) {
      cluster_.net.deliver(0);
      cluster_.sys.run();
    }
    hold();
    collect();
    settled_ = now();
    history_.settled(now());
  }

  bool member(const std::string& name) const {
    return std::find(members_.begin(), members_.end(), name) != members_.end();
  }
  /// A node leaves, crashes, is cut off or comes back, or the second level does.
  void change() {
    history_.disturbed(now());
    const auto name = any(names_);
    if (plan_.second_level && below(5) == 0) {
      second_down_ = !second_down_;
      cluster_.net.set_down("redis", second_down_);
    } else if (!member(name)) {
      come_back(name);
    } else if (members_.size() > 1) {
      switch (below(4)) {
        case 0: // Restarted before anybody noticed.
          restart(name);
          next_view();
          break;
        case 1:
          crashed_.insert(name);
          cluster_.net.set_down(name, true);
          without(name);
          break;
        case 2: // Cut off: it stops owning before the others go on without it.
          cluster_.net.set_down(name, true);
          cluster_.nodes.at(name).port->set_owning(false);
          cluster_.sys.run();
          without(name);
          break;
        default: // It leaves by itself, and knows.
          draining_.insert(name);
          next_view();
      }
    }
  }
  void without(const std::string& name) {
    std::erase(members_, name);
    draining_.erase(name);
    std::erase_if(leases_, [&](const lease& each) { return each.node == name; });
    next_view();
  }
  void come_back(const std::string& name) {
    cluster_.net.set_down(name, false);
    if (crashed_.erase(name) != 0)
      restart(name);
    members_.push_back(name);
    next_view();
  }
  void restart(const std::string& name) {
    ++lives_[name];
    cluster_.start(cluster_.nodes.at(name));
  }
  /// Nodes that drain are members without slots; they come back the same way.
  void next_view() {
    if (draining_.size() == members_.size() || below(2) == 0)
      draining_.clear();
    ++cluster_.view;
    history_.moved();
    untold_ = members_;
  }
  void tell() {
    history_.disturbed(now());
    const auto at = below(static_cast<std::uint32_t>(untold_.size()));
    cluster_.tell_view(untold_[at], members_, draining_, lives_);
    untold_.erase(untold_.begin() + at);
    cluster_.sys.run();
    history_.disturbed(now());
  }

  /// With everybody told and well, what is put last is what every node finds.
  void converge() {
    while (!untold_.empty())
      tell();
    cluster_.net.holds = nullptr;
    cluster_.net.set_down("redis", false);
    cluster_.sys.advance(handover_keep);
    std::map<std::uint64_t, std::string> last;
    for (std::uint64_t key = 0; key < keys; ++key) {
      last[key] = fmt::format("last of {}", key);
      cluster_.put(any(members_), key, last[key], 60'000);
    }
    cluster_.sys.advance(plan_.near_ttl);
    for (const auto& name : members_)
      for (std::uint64_t key = 0; key < keys; ++key)
        if (const auto got = cluster_.get(name, key); got != last[key])
          throw violation{fmt::format("{} finds {} for {}", name, got, last[key])};
  }

  flow::rng random_;
  const plan plan_;
  mutable cache_cluster cluster_;
  cache_history history_;
  std::vector<std::string> names_;
  std::vector<std::string> members_; // Of the newest view; they are up.
  std::set<std::string> draining_;
  std::set<std::string> crashed_;
  std::vector<std::string> untold_; // Members that do not know that view.
  std::map<std::string, std::uint64_t> lives_;
  std::vector<open_get> gets_;
  std::vector<open_clear> clears_;
  std::vector<lease> leases_;
  time_point settled_{};
  bool second_down_ = false;
  std::uint64_t answers_ = 0;
};

std::optional<std::uint64_t> from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::optional{std::strtoull(text, nullptr, 10)} : std::nullopt;
}

/// What went wrong with this seed; empty when nothing did.
std::string failure_of(std::uint64_t seed, std::uint64_t& answers) {
  try {
    play run{seed, plan_of(seed)};
    run.run();
    answers += run.answers();
    return {};
  } catch (const violation& what) {
    const auto p = plan_of(seed);
    return fmt::format("{} (nodes {}, copies {}, second level {}, near {}, stale {})", what.what(),
                       p.nodes, p.copies, p.second_level, p.near, p.stale > 0s);
  }
}

} // namespace

TEST_CASE("every answer of the cache is explained by what was done to it",
          "[actors][cache][history][sim]") {
  const auto only = from_environment("SKEP_SIM_SEED");
  const auto first = only.value_or(1);
  const auto last = only.value_or(from_environment("SKEP_SIM_SEEDS").value_or(300));
  std::uint64_t answers = 0;
  for (auto seed = first; seed <= last; ++seed) {
    INFO("seed=" << seed << " (SKEP_SIM_SEED=" << seed << " replays it)");
    REQUIRE(failure_of(seed, answers) == "");
  }
  CHECK((only || answers > (last - first + 1) * 20)); // Not all were misses.
}
