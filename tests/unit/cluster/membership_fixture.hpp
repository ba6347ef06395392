#pragma once

// tidy: allow size, inline helpers of two tests

#include "runtime/cluster/membership.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

using namespace skep::rt;

struct ballots_in_memory : ballot_store {
  std::uint64_t number = 0;
  bool works = true;
  std::uint64_t load() override {
    return number;
  }
  bool save(std::uint64_t n) override {
    if (works)
      number = n;
    return works;
  }
};

inline msg::member node(const std::string& name, std::uint64_t incarnation = 1) {
  return {name, incarnation, "tcp://" + name, 1, false};
}

inline msg::cluster_view view_of(std::uint64_t number, const std::string& proposer,
                                 const std::vector<std::string>& names) {
  msg::cluster_view v{number, proposer, {}};
  for (const auto& name : names)
    v.members.push_back(node(name));
  return v;
}

inline std::vector<std::string> names_of(const view_ptr& view) {
  std::vector<std::string> out;
  if (view)
    for (const auto& m : view->members)
      out.push_back(m.name);
  return out;
}

using names = std::vector<std::string>;

/// One membership, and peers played by the test.
struct lone_node {
  ballots_in_memory ballots;
  time_point now{1h};
  std::vector<view_ptr> installed;
  int changes = 0;
  std::unique_ptr<membership> m;

  explicit lone_node(const std::string& name, names seeds = {"a", "b", "c"},
                     std::uint64_t ballot = 0) {
    ballots.number = ballot;
    static_membership_config config;
    config.self = node(name);
    config.seeds = std::move(seeds);
    m = make_static_membership(
      std::move(config), ballots,
      {[this](const view_ptr& v) { installed.push_back(v); }, [this] { ++changes; }}, now);
  }

  /// A session with a peer that hears these nodes, and us.
  void hear(const std::string& name, names hears = {}) {
    m->peer_up(node(name), now);
    tell(said_by(name, std::move(hears)));
  }

  msg::member_state said_by(const std::string& name, names hears = {}) {
    msg::member_state s;
    s.self = node(name);
    s.hears = std::move(hears);
    s.hears.push_back(m->state().self.name);
    return s;
  }

  void tell(const msg::member_state& s) {
    m->state_came(s, now, now);
  }

  void wait(duration d) {
    now += d;
    m->tick(now);
  }
};

/// Memberships that hear each other's beats at once, unless the test says otherwise.
struct cluster {
  struct place {
    ballots_in_memory ballots;
    std::uint64_t incarnation = 0;
    std::unique_ptr<membership> m;
    bool sends = true;
  };
  time_point now{1h};
  names seeds;
  std::map<std::string, place> places;

  explicit cluster(names all) : cluster(all, all) {}
  cluster(names all, names voters) : seeds(std::move(voters)) {
    for (const auto& name : all)
      start(name);
  }

  void start(const std::string& name) {
    auto& p = places[name];
    static_membership_config config;
    config.self = node(name, ++p.incarnation);
    config.seeds = seeds;
    p.m = make_static_membership(std::move(config), p.ballots, {}, now);
    for (auto& [other, q] : places) {
      if (other == name || !q.m)
        continue;
      q.m->peer_up(node(name, p.incarnation), now);
      p.m->peer_up(node(other, q.incarnation), now);
    }
  }

  void stop(const std::string& name) {
    places.at(name).m.reset();
    for (auto& [other, q] : places)
      if (q.m)
        q.m->peer_down(name, now);
  }

  /// Beats of all to all, every 50 ms.
  void run(duration length) {
    for (const auto end = now + length; now < end;) {
      now += 50ms;
      for (auto& [from, p] : places) {
        if (!p.m || !p.sends)
          continue;
        p.m->tick(now);
        for (auto& [to, q] : places)
          if (q.m && to != from)
            q.m->state_came(p.m->state(), q.sends ? std::optional{now - 10ms} : std::nullopt, now);
      }
    }
  }

  membership& at(const std::string& name) {
    return *places.at(name).m;
  }
};

} // namespace skep::test
