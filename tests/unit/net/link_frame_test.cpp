#include "runtime/net/link_frame.hpp"
#include "tests/support/catch.hpp"

#include <random>

using namespace skep::net;

TEST_CASE("a head survives its encoding", "[net][link]") {
  std::mt19937_64 random{1};
  for (int n = 0; n < 1000; ++n) {
    frame_head head;
    head.kind = static_cast<frame_kind>(1 + random() % 6);
    head.token = random();
    head.sequence = random();
    head.ack = random();
    head.window = static_cast<std::uint32_t>(random());
    const auto bytes = encode_head(head);
    CHECK(decode_head({bytes.data(), bytes.size()}) == head);
  }
}

TEST_CASE("bytes that are no head are told apart", "[net][link]") {
  const auto good = encode_head({});
  const std::string bytes{good.data(), good.size()};
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_FALSE(decode_head(bytes.substr(0, n)));
  CHECK_FALSE(decode_head(bytes + "x"));
  auto other = bytes;
  other[0] = 'x';
  CHECK_FALSE(decode_head(other));
  other = bytes;
  for (const char kind : {'\0', '\7', '\xff'}) {
    other[3] = kind;
    CHECK_FALSE(decode_head(other));
  }
}

TEST_CASE("a head of another major decodes as far as its kind", "[net][link]") {
  const auto head = decode_head(std::string_view{"sk\x02\x01", 4});
  REQUIRE(head);
  CHECK(head->major == 2);
  CHECK(head->kind == frame_kind::hello);
  CHECK(head->token == 0);
}

TEST_CASE("records are walked through, and what is left over is told", "[net][link]") {
  const auto record = [](std::string_view bytes, bool more) {
    const auto head = encode_record_head(bytes.size(), more);
    return std::string{head.data(), head.size()} + std::string{bytes};
  };
  const auto body = record("one", false) + record("", false) + record("two", true);
  record_reader reader{body};
  CHECK(reader.next()->bytes == "one");
  CHECK(reader.next()->bytes.empty());
  const auto last = reader.next();
  CHECK(last->bytes == "two");
  CHECK(last->more);
  CHECK_FALSE(reader.next());
  CHECK_FALSE(reader.malformed());
  for (std::size_t cut = 1; cut < 7; ++cut) {
    const auto shorter = body.substr(0, body.size() - cut);
    record_reader broken{shorter};
    while (broken.next()) {
    }
    CHECK(broken.malformed());
    CHECK_FALSE(broken.next());
  }
}
