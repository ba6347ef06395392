// What a server that is none, or not ours, may send.
#include "runtime/io/redis_client.hpp"
#include "tests/unit/io/hostile_server.hpp"
#include "tests/unit/io/redis_fixture.hpp"

#include <random>

using namespace skep;
using namespace skep::test;
using then = hostile_server::answer::then;

namespace {

hostile_server::script always(std::string bytes, then after = then::stay) {
  return [bytes = std::move(bytes), after](const std::string&) {
    return hostile_server::answer{bytes, after};
  };
}

bool mentions(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("bytes that are no reply cost the connection and nothing else", "[io][redis][hostile]") {
  for (const auto& bytes : std::vector<std::string>{
         "HTTP/1.1 400 Bad Request\r\n\r\n", std::string(100, '\0'), "\r\n", "?\r\n",
         "$99999999999999999999\r\n", "$-7\r\nx", "*-7\r\n", "*99999999999\r\n", ":12x\r\n",
         "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*2147483647\r\n",
         "*65537\r\n", "*2\r\n*65535\r\n"}) {
    INFO(bytes);
    hostile_server server{always(bytes)};
    redis_fixture redis{server.port()};
    const auto said = redis.ask({"GET", "k"}, 5s);
    CHECK(mentions(said, "transport_failed"));
    CHECK(redis.works_again());
    CHECK(redis.counter("skep_redis_connections_lost_total") > 0);
    CHECK(redis.gauge_becomes("skep_redis_in_flight", 0));
  }
}

TEST_CASE("a reply nobody asked for costs the connection", "[io][redis][hostile]") {
  for (const auto* bytes :
       {"$1\r\nx\r\n+more\r\n", "$1\r\nx\r\n:1\r\n", "$1\r\nx\r\n$-1\r\n", "$1\r\nx\r\n*0\r\n",
        "$1\r\nx\r\n*2\r\n+a\r\n+b\r\n", "$1\r\nx\r\n-ERR max number of clients reached\r\n"}) {
    INFO(bytes);
    hostile_server server{always(bytes)};
    redis_fixture redis{server.port()};
    CHECK(redis.ask({"GET", "k"}) == "$x");
    CHECK(redis.works_again());
    CHECK(redis.counter_becomes_positive("skep_redis_connections_lost_total"));
  }
}

TEST_CASE("a reply over the bound is cut off while it comes", "[io][redis][hostile]") {
  auto config = redis_fixture::at(0);
  config.reply_bytes_max = 100'000;
  SECTION("announced and sent") {
    hostile_server server{always("$3000000\r\n" + std::string(3'000'000, 'x'))};
    config.endpoint.port = server.port();
    redis_fixture redis{config};
    CHECK(mentions(redis.ask({"GET", "k"}), "100000 bytes"));
  }
  SECTION("in many pieces") {
    std::string bytes = "*2000\r\n";
    for (int n = 0; n < 2000; ++n)
      bytes += "$100\r\n" + std::string(100, 'x') + "\r\n";
    hostile_server server{always(bytes)};
    config.endpoint.port = server.port();
    redis_fixture redis{config};
    CHECK(mentions(redis.ask({"GET", "k"}), "reply_bytes_max"));
  }
  SECTION("a line without an end") {
    hostile_server server{always("+" + std::string(1'000'000, 'x'))};
    config.endpoint.port = server.port();
    redis_fixture redis{config};
    CHECK(mentions(redis.ask({"GET", "k"}), "100000 bytes"));
  }
}

TEST_CASE("a connection that ends in the middle of a reply fails what was sent",
          "[io][redis][hostile]") {
  const auto after = GENERATE(then::close, then::reset);
  hostile_server server{[after, first = true](const std::string&) mutable {
    if (std::exchange(first, false))
      return hostile_server::answer{"$100\r\nonly a part", after};
    return hostile_server::answer{"$4\r\nfine\r\n", then::stay};
  }};
  auto config = redis_fixture::at(server.port());
  config.connections = 1;
  redis_fixture redis{config};
  const auto one = redis.send(io::redis_args{"GET", "a"});
  const auto two = redis.send(io::redis_args{"GET", "b"});
  CHECK(one->get().error().code == errc::transport_failed);
  CHECK(two->get().error().code == errc::transport_failed);
  CHECK(redis.works_again());
  CHECK(redis.ask({"GET", "k"}) == "$fine");
}

TEST_CASE("a server that greets wrongly is never used", "[io][redis][hostile]") {
  const auto refused = [](const std::string& greeting) {
    hostile_server server{always("+never\r\n"), greeting};
    redis_fixture redis{server.port()};
    const auto said = redis.ask({"GET", "k"}, 5s);
    CHECK(redis.gauge("skep_redis_connections") == 0);
    return said;
  };
  CHECK(mentions(refused("-LOADING Redis is loading the dataset in memory\r\n"), "wait"));
  CHECK(mentions(refused("-NOAUTH Authentication required.\r\n"), "set redis.password"));
  CHECK(mentions(refused("SSH-2.0-OpenSSH_9.2\r\n"), "Protocol error"));
  CHECK(mentions(refused(""), "no greeting within 300 ms"));
}

TEST_CASE("a server that breaks every connection is not hammered", "[io][redis][hostile]") {
  hostile_server server{always("", then::close)};
  auto config = redis_fixture::at(server.port());
  config.connections = 1;
  config.backoff.initial = 20ms;
  redis_fixture redis{config};
  const auto end = clock::now() + 400ms;
  while (clock::now() < end)
    redis.send(io::redis_args{"GET", "k"})->get(), ::poll(nullptr, 0, 1);
  CHECK(server.accepted() >= 2);
  CHECK(server.accepted() <= 25); // At least 20 ms apart.
}

TEST_CASE("random bytes never crash the client", "[io][redis][hostile]") {
  const auto seed = std::random_device{}();
  INFO("seed=" << seed);
  static constexpr char likely[] = "*$+-:0123456789\r\nxOK";
  hostile_server server{[random = std::mt19937{seed}](const std::string&) mutable {
    hostile_server::answer out;
    const auto size = random() % 60;
    for (std::size_t n = 0; n < size; ++n)
      out.bytes += random() % 20 == 0 ? static_cast<char>(random())
                                      : likely[random() % (sizeof(likely) - 1)];
    if (random() % 4 == 0)
      out.bytes += "\r\n";
    out.after = static_cast<then>(random() % 3);
    return out;
  }};
  auto config = redis_fixture::at(server.port());
  config.stall_max = 10ms;
  config.backoff.wait_max = 5ms;
  redis_fixture redis{config};
  std::vector<outcome_ptr> all;
  for (int n = 0; n < 300; ++n) {
    all.push_back(redis.send(io::redis_args{"GET", "k"}, 20ms));
    if (n % 3 == 0)
      all.back()->get();
  }
  for (const auto& each : all) {
    each->get();
    CHECK(each->times() == 1);
  }
  CHECK(redis.gauge_becomes("skep_redis_in_flight", 0));
}
