#include "runtime/base/clock.hpp"
#include "runtime/net/zmq_link.hpp"
#include "tests/support/catch.hpp"

#include <zmq.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

using namespace skep;
using namespace skep::net;

namespace {

template <class Predicate>
bool eventually(Predicate done) {
  const auto deadline = skep::clock::now() + 10s;
  while (!done()) {
    if (skep::clock::now() > deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// A node with one peer: itself.
struct loop {
  explicit loop(link_config config = {}, zmq_link::message_handler handler = {}) {
    config.node_name = "self";
    if (!handler)
      handler = [this](std::string_view, std::string_view bytes) {
        std::lock_guard guard{mutex};
        got.emplace_back(bytes);
      };
    link = zmq_link::start(config, std::move(handler)).value();
    REQUIRE(link->connect("self", link->endpoint()));
  }
  std::size_t count() {
    std::lock_guard guard{mutex};
    return got.size();
  }

  std::mutex mutex; // Guards got.
  std::vector<std::string> got;
  std::unique_ptr<zmq_link> link;
};

} // namespace

TEST_CASE("a link delivers what several threads send, in each thread's order", "[net][link]") {
  loop l;
  constexpr int each = 25'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&l, t] {
      for (int n = 0; n < each; ++n)
        REQUIRE(l.link->send("self", std::to_string(t) + ":" + std::to_string(n)));
    });
  for (auto& thread : threads)
    thread.join();
  REQUIRE(eventually([&] { return l.count() == 4 * each; }));
  std::map<char, int> next;
  for (const auto& message : l.got)
    REQUIRE(message.substr(2) == std::to_string(next[message[0]]++));
  CHECK(l.link->stats().messages_in == 4 * each);
  CHECK(l.link->stats().malformed == 0);
  CHECK(l.link->stats().frames_out < 4 * each);
}

TEST_CASE("a full queue refuses at once, with a retry-after", "[net][link]") {
  link_config config;
  config.queue_messages_max = 10;
  std::atomic<bool> blocked{true};
  std::atomic<int> got{0};
  loop l{config, [&](std::string_view, std::string_view) {
           while (blocked)
             std::this_thread::yield();
           ++got;
         }};
  int sent = 0;
  expected<void> last;
  // The link's thread is stuck in its handler, so the queue cannot drain.
  REQUIRE(eventually([&] {
    last = l.link->send("self", "x");
    sent += last ? 1 : 0;
    return !last;
  }));
  CHECK(last.error().code == errc::overloaded);
  CHECK(last.error().retry_after > 0ms);
  CHECK(l.link->stats().refused >= 1);
  blocked = false;
  CHECK(eventually([&] { return got == sent; }));
}

TEST_CASE("unknown peers and giant messages are refused", "[net][link]") {
  link_config config;
  config.message_bytes_max = 1000;
  loop l{config};
  CHECK(l.link->send("nobody", "x").error().code == errc::not_found);
  CHECK(l.link->send("self", std::string(1001, 'x')).error().code == errc::too_large);
}

TEST_CASE("a message of ten megabytes arrives whole", "[net][link]") {
  loop l;
  std::string big(10u << 20, 'a');
  big.back() = 'z';
  REQUIRE(l.link->send("self", big));
  REQUIRE(eventually([&] { return l.count() == 1; }));
  CHECK(l.got.front() == big);
}

TEST_CASE("garbage from a stranger is counted and harms nothing", "[net][link]") {
  loop l;
  zmq::context_t context;
  zmq::socket_t stranger{context, zmq::socket_type::dealer};
  stranger.set(zmq::sockopt::linger, 0);
  stranger.connect(l.link->endpoint());
  for (const auto* text : {"", "x", "sk", "sk\1short", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"})
    stranger.send(zmq::str_buffer(""), zmq::send_flags::sndmore),
      stranger.send(zmq::buffer(std::string{text}), zmq::send_flags::none);
  REQUIRE(eventually([&] { return l.link->stats().malformed >= 5; }));
  REQUIRE(l.link->send("self", "still here"));
  CHECK(eventually([&] { return l.count() == 1; }));
}

TEST_CASE("a link that ends sends what was queued", "[net][link]") {
  std::atomic<int> got{0};
  {
    loop l{{}, [&](std::string_view, std::string_view) { ++got; }};
    REQUIRE(l.link->send("self", "first"));
    REQUIRE(eventually([&] { return got == 1; }));
    for (int n = 0; n < 1000; ++n)
      REQUIRE(l.link->send("self", "x"));
  }
  CHECK(got <= 1001);
}

TEST_CASE("an address that is taken or nonsense is an error, not an exception", "[net][link]") {
  loop l;
  link_config config;
  config.bind = l.link->endpoint();
  CHECK(zmq_link::start(config, [](auto, auto) {}).error().code == errc::transport_failed);
  config.bind = "nonsense";
  CHECK(zmq_link::start(config, [](auto, auto) {}).error().code == errc::transport_failed);
  CHECK(l.link->connect("other", "nonsense").error().code == errc::transport_failed);
}
