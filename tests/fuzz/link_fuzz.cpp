// A node that has a session with a peer gets frames made from the input: raw ones, and ones with
// true tokens, so that the parts behind the checks are reached as well. Whatever comes, a node that
// begins anew must get a session and a message through afterwards.
#include "tests/support/link_net.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace skep;
using namespace skep::net;

/// Takes the input apart.
struct reader {
  std::string_view rest;
  std::uint8_t byte() {
    if (rest.empty())
      return 0;
    const auto value = static_cast<std::uint8_t>(rest.front());
    rest.remove_prefix(1);
    return value;
  }
  std::string_view bytes(std::size_t size) {
    const auto taken = rest.substr(0, size);
    rest.remove_prefix(taken.size());
    return taken;
  }
};

/// One frame for b: its head as it comes, or one that a could have sent.
void attack(test::link_pair& p, reader& in) {
  const auto choice = in.byte();
  if (choice % 4 == 0) {
    const auto head = in.bytes(in.byte() % 40);
    p.b.core.frame_came(head, in.bytes(in.byte()), choice % 8 == 0 ? "" : "a", p.net.now);
    return;
  }
  frame_head head;
  head.kind = static_cast<frame_kind>(choice / 4 % 8);
  head.token = p.a.hellos.contains("b") ? p.a.hellos["b"].token : 0;
  head.sequence = in.byte();
  head.ack = in.byte();
  head.window = in.byte() * 1000u;
  const auto encoded = encode_head(head);
  p.b.core.frame_came({encoded.data(), encoded.size()}, in.bytes(in.byte()), {}, p.net.now);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  reader in{{reinterpret_cast<const char*>(data), size}};
  auto of_b = test::link_test_config("b");
  of_b.message_bytes_max = 10'000;
  test::link_pair p{test::link_test_config("a"), of_b};
  if (!p.meet())
    std::abort();
  while (!in.rest.empty()) {
    attack(p, in);
    p.b.core.flush(p.net.now);
    p.net.run(std::chrono::milliseconds{in.byte()});
    if (p.b.ways.size() > 64)
      std::abort();
  }
  p.a.core.close_session("b", failure{errc::node_down, "anew"}, p.net.now);
  p.b.core.close_session("a", failure{errc::node_down, "anew"}, p.net.now);
  if (!p.net.run_until([&] { return p.both_up(); }, 60s))
    std::abort();
  p.net.run(1s); // One side may still be about to replace its session.
  p.b.got.clear();
  if (!p.both_up() || !p.a.say("b", "alive")
      || !p.net.run_until([&] { return !p.b.got["a"].empty(); }))
    std::abort();
  return 0;
}
