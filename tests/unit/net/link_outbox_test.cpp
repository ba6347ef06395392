#include "runtime/base/clock.hpp"
#include "runtime/net/link_frame.hpp"
#include "runtime/net/link_outbox.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <thread>
#include <vector>

using namespace skep;
using namespace skep::net;

namespace {

constexpr auto any = std::size_t{1} << 30;

/// The messages in a body; pieces of a cut one are joined in `partial`.
std::vector<std::string> messages_of(const std::string& body, std::string& partial) {
  std::vector<std::string> all;
  record_reader records{body};
  while (const auto next = records.next()) {
    partial += next->bytes;
    if (!next->more)
      all.push_back(std::exchange(partial, {}));
  }
  CHECK_FALSE(records.malformed());
  return all;
}

std::vector<std::string> messages_of(const std::string& body) {
  std::string partial;
  return messages_of(body, partial);
}

} // namespace

TEST_CASE("messages leave an outbox in order, many in one block", "[net][link]") {
  int wakes = 0;
  link_outbox box{"b", {}, [&] { ++wakes; }};
  for (int n = 0; n < 100; ++n)
    REQUIRE(box.push(std::to_string(n)));
  CHECK(wakes == 1);
  CHECK(box.queued_messages() == 100);
  std::uint64_t messages = 0;
  const auto body = box.take(any, messages);
  CHECK(messages == 100);
  const auto all = messages_of(body);
  REQUIRE(all.size() == 100);
  for (int n = 0; n < 100; ++n)
    CHECK(all[static_cast<std::size_t>(n)] == std::to_string(n));
  CHECK(box.queued_messages() == 0);
  CHECK(box.queued_bytes() == 0);
  CHECK(box.take(any, messages).empty());
  REQUIRE(box.push("again"));
  CHECK(wakes == 2);
}

TEST_CASE("a message in two pieces is one record", "[net][link]") {
  link_outbox box{"b", {}, [] {}};
  REQUIRE(box.push("front ", "back"));
  REQUIRE(box.push("", ""));
  std::uint64_t messages = 0;
  CHECK(messages_of(box.take(any, messages)) == std::vector<std::string>{"front back", ""});
}

TEST_CASE("blocks stay within their size unless one record needs more", "[net][link]") {
  link_outbox box{"b", {.block_bytes = 1000}, [] {}};
  for (const std::size_t size : {400u, 400u, 400u, 5000u, 100u, 40'000u, 100u})
    REQUIRE(box.push(std::string(size, 'x')));
  std::vector<std::size_t> sizes;
  std::uint64_t messages = 0;
  for (auto body = box.take(any, messages); !body.empty(); body = box.take(any, messages))
    sizes.push_back(body.size());
  CHECK(sizes == std::vector<std::size_t>{808, 404, 5004, 104, 40'004, 104});
}

TEST_CASE("a block that is too large for now stays where it is", "[net][link]") {
  link_outbox box{"b", {}, [] {}};
  REQUIRE(box.push(std::string(500, 'x')));
  std::uint64_t messages = 0;
  CHECK(box.take(503, messages).empty());
  CHECK(box.queued_bytes() == 504);
  CHECK(box.take(504, messages).size() == 504);
}

TEST_CASE("messages over a fragment are cut", "[net][link]") {
  for (const std::size_t size : {fragment_bytes - 1, fragment_bytes, fragment_bytes + 1,
                                 3 * fragment_bytes, 3 * fragment_bytes + 17}) {
    link_outbox box{"b", {}, [] {}};
    std::string text(size, '\0');
    for (std::size_t n = 0; n < size; ++n)
      text[n] = static_cast<char>(n * 31 + n / 1000);
    const auto half = size / 3;
    REQUIRE(box.push(std::string_view{text}.substr(0, half), std::string_view{text}.substr(half)));
    REQUIRE(box.push("after"));
    CHECK(box.queued_messages() == 2);
    std::string partial;
    std::vector<std::string> all;
    std::uint64_t counted = 0;
    std::uint64_t messages = 0;
    for (auto body = box.take(any, messages); !body.empty(); body = box.take(any, messages)) {
      CHECK(body.size() <= fragment_bytes + record_head_bytes);
      for (auto& each : messages_of(body, partial))
        all.push_back(std::move(each));
      counted += messages;
    }
    CHECK(counted == 2);
    REQUIRE(all.size() == 2);
    CHECK(all[0] == text);
    CHECK(all[1] == "after");
  }
}

TEST_CASE("a full outbox refuses at once with a retry-after, answers have a reserve",
          "[net][link]") {
  link_outbox by_count{"b", {.messages_max = 3}, [] {}};
  for (int n = 0; n < 3; ++n)
    REQUIRE(by_count.push("x"));
  const auto refused = by_count.push("x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::overloaded);
  CHECK(refused.error().retry_after > 0ms);
  CHECK(refused.error().detail.find("node b") != std::string::npos);
  for (int n = 0; n < 3; ++n)
    CHECK(by_count.push("x", "", link_outbox::lane::reserve));
  CHECK_FALSE(by_count.push("x", "", link_outbox::lane::reserve));
  CHECK(by_count.refused() == 2);
  CHECK(by_count.queued_messages() == 6);

  link_outbox by_bytes{"b", {.bytes_max = 100'000}, [] {}};
  const std::string large(60'000, 'x');
  REQUIRE(by_bytes.push(large));
  CHECK(by_bytes.push(large).error().code == errc::overloaded);
  CHECK(by_bytes.push(large, "", link_outbox::lane::reserve));
  CHECK(by_bytes.queued_bytes() <= 200'000);
}

TEST_CASE("an outbox refuses what is over the limit, and everything once closed", "[net][link]") {
  link_outbox box{"b", {.bytes_max = 10, .message_bytes_max = 1000}, [] {}};
  CHECK(box.push(std::string(1001, 'x')).error().code == errc::too_large);
  // An empty queue takes any one message that is allowed at all.
  CHECK(box.push(std::string(1000, 'x')));
  CHECK(box.close() == 1);
  CHECK(box.queued_messages() == 0);
  CHECK(box.push("x").error().code == errc::node_down);
  CHECK(box.push(std::string(100'000, 'x')).error().code == errc::too_large);
  CHECK(box.close() == 0);
}

TEST_CASE("several threads fill an outbox while one empties it", "[net][link]") {
  link_outbox box{"b", {.block_bytes = 500}, [] {}};
  constexpr int each = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&box, t] {
      for (int n = 0; n < each; ++n)
        while (!box.push(std::to_string(t) + ":", std::to_string(n)))
          std::this_thread::yield();
    });
  std::map<char, int> next;
  std::uint64_t total = 0;
  bool in_order = true;
  while (total < 3 * each) {
    std::uint64_t messages = 0;
    const auto body = box.take(any, messages);
    total += messages;
    for (const auto& text : messages_of(body))
      in_order = in_order && text.substr(2) == std::to_string(next[text[0]]++);
  }
  for (auto& thread : threads)
    thread.join();
  CHECK(in_order);
  CHECK(box.queued_bytes() == 0);
}
