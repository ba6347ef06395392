#include "messages/chat.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/base/caf_error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/real_system.hpp"

#include <map>
#include <thread>

using namespace skep;
using namespace skep::rt;
using namespace skep::test;

namespace {

/// Counts what it gets and watches the order per sender (the model name is the sender, the
/// parameters its running number).
class counting_actor : public bounded_actor {
public:
  counting_actor(caf::actor_config& config, environment& env, const actor_kind& kind,
                 std::atomic<std::uint64_t>& handled, std::atomic<bool>& in_order)
    : bounded_actor(config, env, kind), handled_(handled), in_order_(in_order) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::chat_request& r) {
      const auto number = std::stoull(r.parameters);
      if (number <= last_[r.model])
        in_order_ = false;
      last_[r.model] = number;
      ++handled_;
      reply(c, msg::ack{});
    }};
  }

private:
  std::atomic<std::uint64_t>& handled_;
  std::atomic<bool>& in_order_;
  std::map<std::string, std::uint64_t> last_;
};

struct books {
  std::uint64_t accepted, ended, refused;
};

books books_of(const mailbox_metrics& m) {
  return {m.accepted.value(),
          m.processed.value() + m.failed.value() + m.expired.value() + m.cancelled.value()
            + m.dead_lettered.value(),
          m.refused.value()};
}

/// Sends `count` messages, each with a lease nobody waits on, and counts how the leases end.
struct producer final : settler {
  void settled(const outcome& how, std::uint64_t) noexcept override {
    if (how.code == errc::none)
      ++answered;
    else if (how.code == errc::overloaded && how.retry_after.count() > 0)
      ++refused;
    else
      ++failed;
  }
  void send(const caf::actor& to, const std::string& name, int count) {
    for (int n = 1; n <= count; ++n) {
      msg::chat_request r;
      r.model = name;
      r.parameters = std::to_string(n);
      auto token = caf::make_counted<lease>(nullptr, caf::make_message_id(1), 0);
      token->on_settled(nullptr, *this, 0);
      to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(1), {},
                                            call{{}, std::move(token), 100}, std::move(r)),
                  nullptr);
    }
  }
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> failed{0};
};

} // namespace

TEST_CASE("many producers never get past the bound, and the books balance",
          "[actor][mailbox][threads]") {
  std::atomic<std::uint64_t> handled{0};
  std::atomic<bool> in_order{true};
  constexpr int producers = 4;
  constexpr int each = 20'000;
  mailbox_bounds bounds;
  bounds.messages_max = GENERATE(1u, 64u, 100'000u);
  real_system sys;
  const auto& kind = sys.kind("counting", bounds);
  auto to = sys.adopt(sys.env.spawn<counting_actor>(kind, handled, in_order));
  auto& inside = static_cast<bounded_actor&>(*caf::actor_cast<caf::abstract_actor*>(to));

  std::vector<producer> outcomes(producers);
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p)
    threads.emplace_back([&, p] {
      outcomes[static_cast<std::size_t>(p)].send(to, "producer " + std::to_string(p), each);
    });
  std::uint32_t deepest = 0;
  std::uint64_t done = 0;
  REQUIRE(eventually([&] {
    deepest = std::max(deepest, inside.depth());
    done = 0;
    for (const auto& o : outcomes)
      done += o.answered + o.refused + o.failed;
    return done == producers * each;
  }));
  for (auto& thread : threads)
    thread.join();

  CHECK(deepest <= bounds.messages_max);
  CHECK(in_order);
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  for (const auto& o : outcomes) {
    answered += o.answered;
    refused += o.refused;
    CHECK(o.failed == 0);
  }
  CHECK(answered == handled);
  const auto b = books_of(kind.metrics);
  CHECK(b.accepted == answered);
  CHECK(b.ended == b.accepted);
  CHECK(b.refused == refused);
  CHECK(inside.depth() == 0);
}

TEST_CASE("control reaches an actor that is flooded with data", "[actor][mailbox][threads]") {
  std::atomic<std::uint64_t> handled{0};
  std::atomic<bool> in_order{true};
  std::atomic<bool> stop{false};
  mailbox_bounds bounds;
  bounds.messages_max = 16;
  real_system sys;
  const auto& kind = sys.kind("counting", bounds);
  auto to = sys.adopt(sys.env.spawn<counting_actor>(kind, handled, in_order));
  std::atomic<bool> gone{false};
  to->attach_functor([&gone](const caf::error&) { gone = true; });
  producer flood;
  std::thread flooder{[&] {
    while (!stop)
      flood.send(to, "flood", 100);
  }};
  REQUIRE(eventually([&] { return handled > 1000; }));
  caf::anon_send_exit(to, caf::exit_reason::user_shutdown);
  CHECK(eventually([&] { return gone.load(); }));
  stop = true;
  flooder.join();
  const auto b = books_of(kind.metrics);
  CHECK(b.ended == b.accepted);
}

TEST_CASE("actors that end under fire answer everything that was sent", "[actor][lease][threads]") {
  std::atomic<std::uint64_t> handled{0};
  std::atomic<bool> in_order{true};
  constexpr int each = 2'000;
  for (int round = 0; round < 10; ++round) {
    real_system sys;
    const auto& kind = sys.kind("counting");
    auto to = sys.adopt(sys.env.spawn<counting_actor>(kind, handled, in_order));
    std::vector<producer> outcomes(2);
    std::thread one{[&] { outcomes[0].send(to, std::to_string(round) + "a", each); }};
    std::thread two{[&] { outcomes[1].send(to, std::to_string(round) + "b", each); }};
    caf::anon_send_exit(to, caf::exit_reason::kill);
    one.join();
    two.join();
    for (const auto& o : outcomes)
      CHECK(eventually([&] { return o.answered + o.refused + o.failed == each; }));
    const auto b = books_of(kind.metrics);
    CHECK(b.ended == b.accepted);
  }
}
