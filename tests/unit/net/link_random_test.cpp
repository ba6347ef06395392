// Two and three nodes on a network that loses, doubles, delays and reorders frames, with sessions
// that are closed and nodes that restart, over thousands of seeds. A failure prints its seed.
#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

#include <cstdlib>

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

/// SKEP_LINK_SEEDS=N runs N seeds instead of the default number.
std::uint64_t seeds_or(std::uint64_t usual) {
  const char* asked = std::getenv("SKEP_LINK_SEEDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : usual;
}

link_faults random_faults(link_net& net) {
  link_faults faults;
  faults.loss = net.share() < 0.5 ? 0 : net.share() * 0.3;
  faults.duplication = net.share() < 0.5 ? 0 : net.share() * 0.3;
  faults.delay_min = std::chrono::microseconds{net.random() % 20'000};
  faults.delay_max = net.share() < 0.5
                       ? faults.delay_min
                       : faults.delay_min + std::chrono::microseconds{net.random() % 100'000};
  return faults;
}

link_config random_config(const std::string& name, std::uint64_t seed) {
  std::mt19937_64 random{seed ^ std::hash<std::string>{}(name)};
  auto config = link_test_config(name, seed);
  config.frame_bytes = 100 + random() % 1000;
  config.window_bytes = static_cast<std::uint32_t>(100 + random() % 5000);
  return config;
}

/// What one side says to the other: numbered through all sessions, so that nothing may come twice
/// or out of order, and within a session nothing may be missing.
struct talker {
  link_node& from;
  link_node& to;
  std::string from_name;
  std::string to_name;
  std::uint64_t next = 0;
  std::uint64_t heard = 0; ///< The highest number that came, plus one.
  std::uint64_t taken = 0;
  std::uint64_t in_session = 0; ///< First number this session may bring; 0: any.

  void say(link_net& net) {
    // Numbers a refusal ate would look like a loss.
    if (from.say(to_name, std::to_string(next) + std::string(net.random() % 300, '.')))
      ++next;
  }
  void check() {
    auto& got = to.got[from_name];
    for (const auto& text : got) {
      const auto number = std::strtoull(text.c_str(), nullptr, 10);
      REQUIRE(number >= heard); // At most once, and in order.
      if (in_session != 0)
        REQUIRE(number == in_session); // Without gaps.
      heard = number + 1;
      in_session = heard;
      ++taken;
    }
    got.clear();
  }
};

void check_windows(const link_node& node) {
  for (const auto& each : node.core.peers())
    if (each.up)
      REQUIRE(each.in_flight_bytes <= std::max<std::uint64_t>(each.window_bytes, 1600));
}

void run_pair(std::uint64_t seed) {
  link_pair p{random_config("a", seed), random_config("b", seed), seed};
  p.net.faults = random_faults(p.net);
  talker there{p.a, p.b, "a", "b"};
  talker back{p.b, p.a, "b", "a"};
  p.a.on_up = [&](const link_peer_info&) { back.in_session = 0; };
  p.b.on_up = [&](const link_peer_info&) { there.in_session = 0; };
  p.net.invariant = [&] {
    there.check();
    back.check();
    check_windows(p.a);
    check_windows(p.b);
  };
  p.greet();
  const bool closes = p.net.share() < 0.5;
  for (int n = 0; n < 40; ++n) {
    for (auto words = p.net.random() % 4; words > 0; --words)
      there.say(p.net);
    if (p.net.share() < 0.5)
      back.say(p.net);
    if (closes && p.net.share() < 0.05)
      (p.net.share() < 0.5 ? p.a : p.b)
        .core.close_session(p.net.share() < 0.5 ? "a" : "b", failure{errc::node_down, "silent"},
                            p.net.now);
    p.net.run(std::chrono::milliseconds{p.net.random() % 30});
  }
  p.net.faults = {};
  REQUIRE(p.net.run_until([&] { return p.both_up(); }, 30s));
  // Whatever happened, what is said from now on arrives, both ways.
  const auto said_there = there.next;
  const auto said_back = back.next;
  for (int n = 0; n < 100 && (there.heard <= said_there || back.heard <= said_back); ++n) {
    there.say(p.net);
    back.say(p.net);
    p.net.run(200ms);
  }
  REQUIRE(there.heard > said_there);
  REQUIRE(back.heard > said_back);
  if (p.a.core.stats().sessions == 1 && p.b.core.stats().sessions == 1) {
    p.net.run(10s);
    CHECK(there.taken == there.next);
    CHECK(back.taken == back.next);
    CHECK(p.a.core.stats().malformed == 0);
  }
  CHECK(p.a.closed_first);
}

/// Restarts of one of three nodes while everybody talks to everybody.
void run_restarts(std::uint64_t seed) {
  link_net net{seed};
  net.faults = random_faults(net);
  const std::vector<std::string> names{"a", "b", "c"};
  std::map<std::string, std::unique_ptr<link_node>> nodes;
  std::map<std::string, std::uint64_t> lives;
  std::map<std::string, std::uint64_t> said;
  const auto start = [&](const std::string& name) {
    auto config = random_config(name, seed);
    config.incarnation = ++lives[name];
    nodes[name] = std::make_unique<link_node>(net, config);
    for (const auto& other : names)
      if (other != name)
        static_cast<void>(nodes[name]->core.add_peer(other, "sim://" + other, net.now));
  };
  for (const auto& name : names)
    start(name);
  std::map<std::string, std::uint64_t> heard;
  net.invariant = [&] {
    for (auto& [name, node] : nodes) {
      if (!node)
        continue;
      for (auto& [from, texts] : node->got) {
        for (const auto& text : texts) {
          const auto number = std::strtoull(text.c_str(), nullptr, 10);
          auto& last = heard[from + ">" + name];
          REQUIRE(number > last);
          last = number;
        }
        texts.clear();
      }
    }
  };
  for (int n = 0; n < 60; ++n) {
    const auto& name = names[net.random() % 3];
    if (net.share() < 0.1) {
      nodes[name].reset();
      net.run(std::chrono::milliseconds{net.random() % 500});
      start(name);
    }
    for (const auto& other : names)
      if (nodes[name]->up(other))
        static_cast<void>(nodes[name]->say(other, std::to_string(++said[name])));
    net.run(std::chrono::milliseconds{net.random() % 60});
  }
  net.faults = {};
  REQUIRE(net.run_until(
    [&] {
      return std::all_of(names.begin(), names.end(),
                         [&](const auto& name) { return nodes[name]->outbox.size() == 2; });
    },
    60s));
}

} // namespace

TEST_CASE("messages arrive at most once and in order on any network", "[net][link]") {
  const auto seeds = seeds_or(3000);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed=" << seed);
    run_pair(seed);
  }
}

TEST_CASE("nodes that restart find each other again on any network", "[net][link]") {
  const auto seeds = seeds_or(500);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed=" << seed);
    run_restarts(seed);
  }
}

TEST_CASE("the same seed gives the same run", "[net][link]") {
  const auto run = [] {
    link_pair p{random_config("a", 5), random_config("b", 5), 5};
    p.net.faults = {0.2, 0.2, 1ms, 30ms};
    p.greet();
    p.net.run(2s);
    if (p.a.up("b"))
      static_cast<void>(p.a.say("b", "x"));
    p.net.run(2s);
    return std::pair{p.a.core.stats().bytes_in, p.b.core.stats().bytes_in};
  };
  CHECK(run() == run());
}
