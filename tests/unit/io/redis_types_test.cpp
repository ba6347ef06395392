#include "runtime/io/redis_types.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::io;

TEST_CASE("a Redis URL is read with all its parts", "[io][redis]") {
  const auto whole = parse_redis_url("redis://me:se%3acr%40et@cache.internal:7000/3");
  REQUIRE(whole);
  CHECK(whole->host == "cache.internal");
  CHECK(whole->port == 7000);
  CHECK(whole->user == "me");
  CHECK(whole->password == "se:cr@et");
  CHECK(whole->db == 3);
  CHECK(whole->name() == "cache.internal:7000/3");

  const auto least = parse_redis_url("redis://localhost");
  REQUIRE(least);
  CHECK(least->port == 6379);
  CHECK(least->password.empty());
  CHECK(least->db == 0);

  const auto only_password = parse_redis_url("redis://:p/w@h/1");
  REQUIRE(only_password);
  CHECK(only_password->user.empty());
  CHECK(only_password->password == "p/w");
  CHECK(only_password->db == 1);

  const auto six = parse_redis_url("redis://[::1]:701/");
  REQUIRE(six);
  CHECK(six->host == "::1");
  CHECK(six->port == 701);
  CHECK(six->name() == "[::1]:701/0");

  const auto socket = parse_redis_url("unix:///run/redis.sock?db=2");
  REQUIRE(socket);
  CHECK(socket->socket == "/run/redis.sock");
  CHECK(socket->db == 2);
  CHECK(socket->name() == "unix:///run/redis.sock?db=2");
}

TEST_CASE("a Redis URL that cannot be is refused, and never repeated", "[io][redis]") {
  for (const auto* url : {"",
                          "http://h",
                          "redis://",
                          "redis://secret@h",
                          "redis://a:secret@",
                          "redis://h:0",
                          "redis://h:65536",
                          "redis://h:",
                          "redis://h:12x",
                          "redis://h/x",
                          "redis://h/-1",
                          "redis://a:secret%4@h",
                          "redis://a:%zzsecret@h",
                          "redis://[::1",
                          "redis://[::1]7",
                          "redis://h/9999999999",
                          "rediss://:secret@h",
                          "unix://run/redis",
                          "unix:///r?x=1",
                          "unix:///r?db=x"}) {
    INFO(url);
    const auto read = parse_redis_url(url);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::bad_config);
    CHECK_FALSE(read.error().detail.empty());
    CHECK(read.error().detail.find("secret") == std::string::npos);
  }
  CHECK(parse_redis_url("rediss://h").error().detail.find("TLS") != std::string::npos);
}

TEST_CASE("an error reply says what to do", "[io][redis]") {
  const auto meaning = [](std::string text) {
    redis_reply reply;
    reply.what = redis_reply::kind::error;
    reply.text = std::move(text);
    return failure_of(reply, "h:1/0");
  };
  CHECK(meaning("NOAUTH Authentication required.").code == errc::provider_auth_failed);
  CHECK(meaning("NOAUTH x").detail.find("redis.password") != std::string::npos);
  CHECK(meaning("OOM command not allowed").detail.find("maxmemory") != std::string::npos);
  CHECK(meaning("MOVED 3999 10.0.0.1:6381").detail.find("Redis Cluster") != std::string::npos);
  CHECK(meaning("LOADING x").code == errc::provider_failed);
  CHECK(meaning("READONLY x").detail.find("primary") != std::string::npos);
  CHECK(meaning("WHATEVER").detail == "Redis at h:1/0 says: WHATEVER");
  CHECK(meaning(std::string(10'000, 'x')).detail.size() < 300);
}
