#include "runtime/net/node_link.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/link_recorder.hpp"

#include <atomic>

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

/// Checks that numbers come without gap or repetition.
struct in_order {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> broken{false};
  recorded_link::message_handler handler() {
    return [this](const link_peer_info&, std::string_view bytes) {
      if (bytes.substr(0, bytes.find(' ')) != std::to_string(next.load()))
        broken = true;
      ++next;
    };
  }
};

} // namespace

TEST_CASE("two links talk over sockets", "[net][link]") {
  in_order at_b;
  recorded_link a{
    real_link_config("a"), {}, [](const link_peer_info& peer, std::string_view bytes) {
      static_cast<void>(peer.outbox->push(bytes)); // The echo.
    }};
  recorded_link b{real_link_config("b"), {}, at_b.handler()};
  CHECK(a.link->endpoint().rfind("tcp://127.0.0.1:", 0) == 0);
  a.add("b", b.link->endpoint());
  REQUIRE(a.up("b"));
  REQUIRE(b.up("a"));
  for (int n = 0; n < 1000; ++n)
    REQUIRE(b.say("a", std::to_string(n)));
  CHECK(link_eventually([&] { return at_b.next == 1000; }));
  CHECK_FALSE(at_b.broken);
  CHECK(link_eventually([&] { return b.link->stats().messages_in == 1000; }));
  CHECK(link_eventually([&] { return a.events.echoed() > 3 && a.events.ticks() > 3; }));
  CHECK(link_eventually([&] {
    const auto all = a.link->peers();
    return all.size() == 1 && all[0].up && all[0].round_trip > 0ms && all[0].in_flight_bytes == 0
           && all[0].address == b.link->endpoint();
  }));
  CHECK(a.link->stats().malformed == 0);
}

TEST_CASE("100,000 messages arrive in order", "[net][link]") {
  in_order at_b;
  recorded_link a{real_link_config("a")};
  recorded_link b{real_link_config("b"), {}, at_b.handler()};
  a.add("b", b.link->endpoint());
  REQUIRE(a.up("b"));
  for (int n = 0; n < 100'000; ++n)
    REQUIRE(a.say("b", std::to_string(n)));
  CHECK(link_eventually([&] { return at_b.next == 100'000; }));
  CHECK_FALSE(at_b.broken);
  CHECK(link_eventually([&] { return a.link->stats().messages_out == 100'000; }));
  CHECK(a.link->stats().frames_out < 100'000);
}

TEST_CASE("messages of several threads and of all sizes arrive whole", "[net][link]") {
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  recorded_link a{real_link_config("a")};
  recorded_link b{real_link_config("b"), {}, [&](const link_peer_info&, std::string_view bytes) {
                    const bool whole = bytes.find_first_not_of(bytes.empty() ? '?' : bytes[0])
                                       == std::string_view::npos;
                    ++(whole ? good : bad);
                  }};
  a.add("b", b.link->endpoint());
  REQUIRE(a.up("b"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&a, t] {
      for (std::size_t n = 0; n < 200; ++n)
        a.say("b", std::string(n % 50 == 0 ? 700'000 + n : n * 200, static_cast<char>('a' + t)));
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(link_eventually([&] { return good == 600; }));
  CHECK(bad == 0);
}

TEST_CASE("a slow reader loses nothing and slows nobody else", "[net][link]") {
  std::atomic<bool> blocked{true};
  in_order at_slow;
  in_order at_quick;
  auto config = real_link_config("slow");
  config.window_bytes = 100'000;
  auto of_a = real_link_config("a");
  of_a.queue_bytes_max = 1'000'000;
  recorded_link a{of_a};
  auto count = at_slow.handler();
  recorded_link slow{config, {}, [&](const link_peer_info& peer, std::string_view bytes) {
                       while (blocked)
                         std::this_thread::yield();
                       count(peer, bytes);
                     }};
  recorded_link quick{real_link_config("quick"), {}, at_quick.handler()};
  a.add("slow", slow.link->endpoint());
  a.add("quick", quick.link->endpoint());
  REQUIRE(a.up("slow"));
  REQUIRE(a.up("quick"));
  const auto box = a.events.outbox("slow");
  std::uint64_t sent = 0;
  expected<void> last;
  REQUIRE(link_eventually([&] {
    last = box->push(std::to_string(sent) + std::string(1000, ' '));
    sent += last ? 1 : 0;
    return !last;
  }));
  CHECK(last.error().code == errc::overloaded);
  CHECK(last.error().retry_after > 0ms);
  for (int n = 0; n < 1000; ++n)
    REQUIRE(a.say("quick", std::to_string(n)));
  CHECK(link_eventually([&] { return at_quick.next == 1000; }));
  CHECK(at_slow.next == 0);
  blocked = false;
  CHECK(link_eventually([&] { return at_slow.next == sent; }));
  CHECK_FALSE(at_slow.broken);
}

TEST_CASE("a link that restarts under its name and address is found again", "[net][link]") {
  recorded_link a{real_link_config("a")};
  auto config = real_link_config("b");
  auto b = std::make_unique<recorded_link>(config);
  config.bind = b->link->endpoint();
  a.add("b", config.bind);
  REQUIRE(a.up("b"));
  REQUIRE(b->up("a"));
  b.reset();
  REQUIRE(link_eventually([&] { return a.events.outbox("b") == nullptr; }));
  CHECK(a.events.log().back() == "down b shutting_down"); // It said goodbye.
  config.incarnation = 2;
  in_order at_b;
  // The system may keep the port for a moment.
  REQUIRE(link_eventually([&] {
    b = std::make_unique<recorded_link>(config, link_keys{}, at_b.handler());
    return b->link != nullptr;
  }));
  REQUIRE(a.up("b"));
  for (int n = 0; n < 100; ++n)
    REQUIRE(a.say("b", std::to_string(n)));
  CHECK(link_eventually([&] { return at_b.next == 100; }));
  CHECK_FALSE(at_b.broken);
}

TEST_CASE("a link that ends writes what was queued", "[net][link]") {
  in_order at_b;
  recorded_link b{real_link_config("b"), {}, at_b.handler()};
  {
    recorded_link a{real_link_config("a")};
    a.add("b", b.link->endpoint());
    REQUIRE(a.up("b"));
    for (int n = 0; n < 20'000; ++n)
      REQUIRE(a.say("b", std::to_string(n)));
  }
  CHECK(link_eventually([&] { return b.events.count("down a shutting_down") == 1; }));
  CHECK(at_b.next == 20'000);
  CHECK_FALSE(at_b.broken);
}

TEST_CASE("addresses that are taken or nonsense are errors, not exceptions", "[net][link]") {
  recorded_link a{real_link_config("a")};
  auto config = real_link_config("b");
  config.bind = a.link->endpoint();
  recorded_link taken{config};
  CHECK(taken.why.code == errc::transport_failed);
  CHECK(taken.why.detail.find(config.bind) != std::string::npos);
  config.bind = "nonsense";
  CHECK(recorded_link{config}.why.code == errc::transport_failed);
  std::atomic<int> asked{0};
  std::vector<errc> why;
  a.link->post([&](link_core& core) {
    for (const auto* address : {"nonsense", "ipc:///tmp/x", "tcp://", "tcp://127.0.0.1"})
      why.push_back(core.add_peer("x", address, clock::now())
                      .map([](auto) { return errc::none; })
                      .map_error([](const failure& f) { return f.code; })
                      .value_or(errc::bad_config));
    asked = 1;
  });
  REQUIRE(link_eventually([&] { return asked == 1; }));
  CHECK(why == std::vector<errc>(4, errc::bad_config));
}

// -- keys -----------------------------------------------------------------------------------------

namespace {

struct key_pair {
  std::string public_key;
  std::string secret_key;
};

key_pair fresh_key() {
  auto [public_key, secret_key] = make_link_keys();
  return {std::move(public_key), std::move(secret_key)};
}

link_keys keys_of(const key_pair& own, std::vector<std::pair<std::string, std::string>> allowed) {
  return {own.public_key, own.secret_key, std::move(allowed)};
}

} // namespace

TEST_CASE("links with each other's keys talk", "[net][link][keys]") {
  const auto key_a = fresh_key();
  const auto key_b = fresh_key();
  CHECK(key_a.public_key.size() == 40);
  in_order at_b;
  recorded_link a{real_link_config("a"), keys_of(key_a, {{"b", key_b.public_key}})};
  recorded_link b{real_link_config("b"), keys_of(key_b, {{"a", key_a.public_key}}), at_b.handler()};
  a.add("b", b.link->endpoint());
  b.add("a", a.link->endpoint());
  REQUIRE(a.up("b"));
  REQUIRE(b.up("a"));
  for (int n = 0; n < 1000; ++n)
    REQUIRE(a.say("b", std::to_string(n) + std::string(static_cast<std::size_t>(n) * 10, ' ')));
  CHECK(link_eventually([&] { return at_b.next == 1000; }));
  CHECK_FALSE(at_b.broken);
  std::atomic<int> asked{0};
  errc why = errc::none;
  a.link->post([&](link_core& core) {
    const auto done = core.add_peer("stranger", "tcp://127.0.0.1:1", clock::now());
    why = done ? errc::none : done.error().code;
    asked = 1;
  });
  REQUIRE(link_eventually([&] { return asked == 1; }));
  CHECK(why == errc::bad_config);
}

TEST_CASE("a wrong key, no key and another node's key stay outside", "[net][link][keys]") {
  const auto key_a = fresh_key();
  const auto key_b = fresh_key();
  const auto key_c = fresh_key();
  const auto unknown = fresh_key();
  const std::vector<std::pair<std::string, std::string>> all{
    {"a", key_a.public_key}, {"b", key_b.public_key}, {"c", key_c.public_key}};
  recorded_link b{real_link_config("b"), keys_of(key_b, all)};
  recorded_link wrong{real_link_config("a"), keys_of(unknown, all)};
  recorded_link none{real_link_config("none")};
  // It has a key of the list, but not that of the name it gives itself.
  recorded_link liar{real_link_config("a"), keys_of(key_c, all)};
  recorded_link good{real_link_config("a"), keys_of(key_a, all)};
  for (const auto* each : {&wrong, &none, &liar, &good})
    each->add("b", b.link->endpoint());
  REQUIRE(good.up("b"));
  REQUIRE(b.up("a"));
  REQUIRE(link_eventually([&] { return !b.events.refusals().empty(); }));
  for (const auto& each : b.events.refusals()) {
    CHECK(each.reason == static_cast<std::uint8_t>(msg::refusal::key));
    CHECK(each.text.find("its key belongs to node c") != std::string::npos);
  }
  CHECK(wrong.events.log().empty());
  CHECK(none.events.log().empty());
  CHECK(liar.events.log().empty());
  CHECK(b.events.log() == std::vector<std::string>{"up a"});
}

TEST_CASE("keys that are none are told apart", "[net][link][keys]") {
  const auto good = fresh_key();
  const auto other = fresh_key();
  const auto start = [](link_keys keys) {
    return recorded_link{real_link_config("a"), std::move(keys)}.why;
  };
  CHECK(start({"short", good.secret_key, {}}).code == errc::bad_config);
  CHECK(start({good.public_key, "", {}}).code == errc::bad_config);
  CHECK(start({good.public_key, other.secret_key, {}}).detail.find("does not belong")
        != std::string::npos);
  CHECK(start({good.public_key, good.secret_key, {{"b", "x"}}}).detail.find("node b")
        != std::string::npos);
  CHECK(
    start({good.public_key, good.secret_key, {{"b", other.public_key}, {"c", other.public_key}}})
      .detail.find("same key")
    != std::string::npos);
}
