#include "messages/codec.hpp"
#include "runtime/net/node_link.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/link_recorder.hpp"

#include <zmq.hpp>

#include <atomic>
#include <random>

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

/// A raw DEALER that may send anything.
struct stranger {
  explicit stranger(const std::string& address) : socket(context, zmq::socket_type::dealer) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::sndtimeo, 5000);
    socket.connect(address);
  }
  void send(const std::vector<std::string>& parts) {
    for (std::size_t n = 0; n < parts.size(); ++n)
      static_cast<void>(socket.send(zmq::buffer(parts[n]), n + 1 < parts.size()
                                                             ? zmq::send_flags::sndmore
                                                             : zmq::send_flags::none));
  }
  zmq::context_t context;
  zmq::socket_t socket;
};

std::string head_of(frame_head head) {
  const auto bytes = encode_head(head);
  return {bytes.data(), bytes.size()};
}

/// Two good links that talk while a test plays the bad one.
struct besieged {
  besieged()
    : a(real_link_config("a")),
      b(real_link_config("b"), {}, [this](const link_peer_info&, std::string_view bytes) {
        if (bytes != std::to_string(next.load()))
          broken = true;
        ++next;
      }) {
    a.add("b", b.link->endpoint());
    REQUIRE(a.up("b"));
  }
  void say(int count) {
    for (int n = 0; n < count; ++n)
      REQUIRE(a.say("b", std::to_string(said++)));
  }
  void check() {
    say(1000);
    CHECK(link_eventually([&] { return next == said; }));
    CHECK_FALSE(broken);
    CHECK(b.events.log() == std::vector<std::string>{"up a"});
    CHECK(a.events.log() == std::vector<std::string>{"up b"});
  }

  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> broken{false};
  std::uint64_t said = 0;
  recorded_link a;
  recorded_link b;
};

} // namespace

TEST_CASE("messages with the wrong number of parts are counted and harm nothing",
          "[net][link][hostile]") {
  besieged two;
  stranger bad{two.b.link->endpoint()};
  for (int n = 0; n < 100; ++n) {
    bad.send({""});
    bad.send({"x"});
    bad.send({head_of({}), "", "third"});
    bad.send(std::vector<std::string>(300, "part"));
    two.say(10);
  }
  CHECK(link_eventually([&] { return two.b.link->stats().malformed >= 400; }));
  two.check();
}

TEST_CASE("garbage and forged frames from a stranger are counted and harm nothing",
          "[net][link][hostile]") {
  besieged two;
  stranger bad{two.b.link->endpoint()};
  std::mt19937_64 random{1};
  for (int n = 0; n < 5000; ++n) {
    std::string body(random() % 200, '\0');
    for (auto& each : body)
      each = static_cast<char>(random());
    frame_head head;
    head.kind = static_cast<frame_kind>(1 + random() % 6);
    head.token = random();
    head.sequence = random() % 10;
    head.ack = random() % 10;
    bad.send({n % 2 == 0 ? head_of(head) : body, body});
    if (n % 10 == 0)
      two.say(10);
  }
  CHECK(link_eventually([&] { return two.b.link->stats().malformed >= 4000; }));
  two.check();
}

TEST_CASE("a frame over the limit costs its sender the connection", "[net][link][hostile]") {
  besieged two;
  stranger bad{two.b.link->endpoint()};
  frame_head head;
  head.kind = frame_kind::data;
  for (int n = 0; n < 20; ++n) {
    bad.send({head_of(head), std::string(std::size_t{8} << 20, 'x')});
    two.say(10);
  }
  bad.send({"still there"});
  two.check();
  // What was over the limit was never read.
  CHECK(link_eventually([&] { return two.b.link->stats().messages_in == two.said; }));
  CHECK(two.b.link->stats().bytes_in < (std::uint64_t{8} << 20));
}

TEST_CASE("a flood of hellos from a stranger does not end or forge a session",
          "[net][link][hostile]") {
  besieged two;
  stranger bad{two.b.link->endpoint()};
  msg::node_hello hello;
  hello.cluster = "skep";
  for (int n = 0; n < 3000; ++n) {
    hello.node = n % 2 == 0 ? "a" : "n" + std::to_string(n);
    hello.address = n % 4 == 0 ? two.a.link->endpoint() : "tcp://127.0.0.1:1";
    hello.incarnation = static_cast<std::uint64_t>(n);
    hello.attempt = 1000 + static_cast<std::uint64_t>(n);
    hello.token = 5 + static_cast<std::uint64_t>(n);
    hello.echo = n % 3 == 0 ? 0 : 9;
    std::string body;
    encode(hello, body);
    frame_head head;
    head.kind = frame_kind::hello;
    head.window = 1'000'000;
    bad.send({head_of(head), body});
    if (n % 10 == 0)
      two.say(5);
  }
  two.check();
}

TEST_CASE("a flood of large frames does not hold up a good peer", "[net][link][hostile]") {
  besieged two;
  stranger bad{two.b.link->endpoint()};
  frame_head head;
  head.kind = frame_kind::data;
  head.token = 1;
  const std::string body(std::size_t{200} << 10, 'x');
  for (int n = 0; n < 3000; ++n) {
    bad.send({head_of(head), body});
    if (n % 100 == 0)
      two.say(10);
  }
  CHECK(link_eventually([&] { return two.b.link->stats().malformed >= 2000; }));
  two.check();
}

TEST_CASE("connections that never finish their handshake harm nothing", "[net][link][hostile]") {
  besieged two;
  zmq::context_t context;
  zmq::socket_t raw{context, zmq::socket_type::stream};
  raw.set(zmq::sockopt::linger, 0);
  for (int n = 0; n < 50; ++n) {
    raw.connect(two.b.link->endpoint());
    const auto id = raw.get(zmq::sockopt::routing_id);
    static_cast<void>(raw.send(zmq::buffer(id), zmq::send_flags::sndmore));
    static_cast<void>(raw.send(zmq::str_buffer("GET / HTTP/1.1\r\n\r\n"), zmq::send_flags::none));
    two.say(10);
  }
  two.check();
}
