#include "messages/codec.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/sample_messages.hpp"

#include <random>

using namespace skep;
using namespace skep::test;

namespace {

const std::chrono::steady_clock::time_point some_time{std::chrono::hours{5}};

std::string encoded(const auto& value) {
  std::string bytes;
  encode(value, bytes);
  return bytes;
}

/// Flips, inserts, removes and repeats bytes.
std::string mutated(std::string bytes, std::mt19937_64& random) {
  for (auto changes = random() % 4 + 1; changes > 0; --changes) {
    const auto at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 4) {
      case 0:
        if (!bytes.empty())
          bytes[at] = static_cast<char>(random());
        break;
      case 1: bytes.insert(at, 1, static_cast<char>(random())); break;
      case 2:
        if (!bytes.empty())
          bytes.erase(at, random() % 8 + 1);
        break;
      default: bytes += bytes.substr(at, random() % 16); break;
    }
  }
  return bytes;
}

} // namespace

TEST_CASE("an older peer's shorter message takes defaults, a newer one's longer is cut",
          "[wire][codec]") {
  // [key-high-only, …] : cache_get_request with its first field alone.
  CHECK(decode<msg::cache_get_request>(from_hex("91920102"))->age_max_s == 0);
  CHECK(decode<msg::cache_get_request>(from_hex("91920102"))->key.low == 2);
  // A third field, an array of things this version knows nothing of.
  const auto longer = decode<msg::cache_release_request>(from_hex("939201020593c0c3a178"));
  REQUIRE(longer);
  CHECK(longer->lease == 5);
}

TEST_CASE("a wrong type names message, field and type", "[wire][codec]") {
  const auto wrong = decode<msg::chat_request>(from_hex("92a161919307a178a0"));
  REQUIRE(!wrong);
  CHECK(wrong.error().code == errc::malformed);
  CHECK(wrong.error().detail == "chat_request.messages[0].role: expected str, got uint");
}

TEST_CASE("numbers that do not fit are refused, not cut", "[wire][codec]") {
  CHECK(!decode<msg::failure_reply>(from_hex("91cd0100")));
  CHECK(decode<msg::failure_reply>(from_hex("91ccff"))->code == 255);
  CHECK(!decode<msg::failure_reply>(from_hex("91ff")));
}

TEST_CASE("a header that lies about its length costs nothing", "[wire][codec]") {
  // An array of four billion elements, a text of four billion bytes.
  CHECK(decode<msg::models_reply>(from_hex("91ddffffffff")).error().code == errc::malformed);
  CHECK(decode<msg::cache_get_reply>(from_hex("91dbffffffff61")).error().code == errc::malformed);
}

TEST_CASE("limits on size, elements and depth hold", "[wire][codec]") {
  decode_limits limits;
  limits.bytes_max = 8;
  const auto text = encoded(msg::cache_get_reply{"0123456789", 0, 0});
  CHECK(decode<msg::cache_get_reply>(text, limits).error().code == errc::too_large);
  limits = {};
  limits.elements_max = 2;
  const auto list = encoded(msg::models_reply{{{"a", 0, ""}, {"b", 0, ""}, {"c", 0, ""}}});
  CHECK(decode<msg::models_reply>(list, limits).error().code == errc::too_large);
  // One known field, then an unknown one nested a thousand deep.
  std::string deep = from_hex("9490c0c0");
  deep += std::string(1000, '\x91') + "\xc0";
  CHECK(decode<msg::ack>(deep, {}).error().code == errc::too_large);
}

TEST_CASE("bytes behind a message are refused", "[wire][codec]") {
  CHECK(!decode<msg::ack>(from_hex("90c0")));
  CHECK(!decode<msg::ack>(""));
}

TEST_CASE("an envelope with nonsense in it is refused with its reason", "[wire][envelope]") {
  auto head = sample_envelope(envelope_kind::request, some_time);
  head.context.tenant.assign(65, 'x');
  std::string bytes;
  encode_envelope(head, {}, some_time, bytes);
  CHECK(decode_envelope(bytes, some_time).error().detail
        == "envelope: the tenant's name is longer than 64 bytes");
  CHECK(decode_envelope("", some_time).error().code == errc::malformed);
  CHECK(decode_envelope(from_hex("90"), some_time).error().code == errc::malformed);
}

TEST_CASE("whatever the bytes, there is a value or an error", "[wire][codec]") {
  std::mt19937_64 random{4711};
  std::size_t refused = 0;
  std::apply(
    [&](const auto&... sample) {
      const auto one = [&](const auto& value) {
        using type = std::remove_cvref_t<decltype(value)>;
        const auto good = encoded(value);
        for (int n = 0; n < 8'000; ++n) {
          const auto read = decode<type>(mutated(good, random));
          if (!read) {
            ++refused;
            CHECK(!read.error().detail.empty());
          }
        }
      };
      (one(sample), ...);
    },
    sample_messages());
  CHECK(refused > 10'000);
}

TEST_CASE("whatever the envelope's bytes, there is a value or an error", "[wire][envelope]") {
  std::mt19937_64 random{815};
  std::string good;
  encode_envelope(sample_envelope(envelope_kind::request, some_time), "payload", some_time, good);
  for (int n = 0; n < 50'000; ++n) {
    const auto bytes = mutated(good, random);
    const auto read = decode_envelope(bytes, some_time);
    if (read)
      CHECK(read->payload.size() <= bytes.size());
    else
      CHECK(!read.error().detail.empty());
  }
}
