#include "actors/store/store_keeper.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"

#include <caf/send.hpp>

#include <deque>
#include <map>

using namespace skep;
using namespace skep::actors;
using namespace skep::store;
using std::chrono::milliseconds;

namespace {

/// A store whose calls wait until the test serves them.
class slow_store final : public durable_store {
public:
  void put_if(durable_key key, durable_value value, durable_condition when, duration timeout,
              durable_callback<durable_outcome> done) override {
    last_timeout = timeout;
    last_condition = when;
    last_value = value;
    waiting.push_back([this, key, value, done](bool works) {
      if (!works)
        return done(fail(errc::unavailable, "the disk is gone"));
      entries[{key.tenant, key.kind, key.id}] = value.bytes;
      done(durable_outcome{true, ++version});
    });
  }
  void get(durable_key key, duration,
           durable_callback<std::optional<durable_entry>> done) override {
    waiting.push_back([this, key, done](bool works) {
      const auto at = entries.find({key.tenant, key.kind, key.id});
      if (!works)
        return done(fail(errc::malformed, "damaged"));
      done(at == entries.end() ? std::nullopt
                               : std::optional{durable_entry{key.id, at->second, version, 7s}});
    });
  }
  void erase(durable_key key, durable_condition, duration,
             durable_callback<durable_outcome> done) override {
    waiting.push_back([this, key, done](bool) {
      done(durable_outcome{entries.erase({key.tenant, key.kind, key.id}) > 0, 0});
    });
  }
  void scan(durable_range range, duration, durable_callback<durable_page> done) override {
    waiting.push_back([range, done](bool) {
      done(durable_page{{{range.after + "x", "value", 3, 0ms}}, true});
    });
  }
  void sweep(std::size_t entries_max, duration, durable_callback<std::size_t> done) override {
    sweeps.push_back(done);
    sweep_max = entries_max;
  }

  void serve(bool works = true) {
    auto call = std::move(waiting.front());
    waiting.pop_front();
    call(works);
  }

  std::deque<std::function<void(bool works)>> waiting;
  std::deque<durable_callback<std::size_t>> sweeps;
  std::map<std::tuple<std::string, std::string, std::string>, std::string> entries;
  std::uint64_t version = 0;
  std::size_t sweep_max = 0;
  duration last_timeout{};
  durable_condition last_condition;
  durable_value last_value;
};

struct keeper {
  explicit keeper(rt::test_system::hops how) : sys(how) {
    store_keeper_config rules;
    rules.sweep_interval = milliseconds{10'000};
    rules.sweep_max = 100;
    actor = sys.spawn<store_keeper>(sys.kind("store"), rules, db);
  }
  /// Calls that were never served keep their actor, and it keeps the store.
  ~keeper() {
    db->waiting.clear();
    db->sweeps.clear();
  }

  std::shared_ptr<slow_store> db = std::make_shared<slow_store>();
  rt::test_system sys;
  caf::actor actor;
};

const msg::store_key some_key{"acme", "response", "a"};

} // namespace

TEST_CASE("the store actor hands calls on and answers when the store has", "[actors][store]") {
  const auto how = GENERATE(rt::test_system::hops::native, rt::test_system::hops::force_wire);
  keeper k{how};
  const auto put
    = k.sys.ask(k.actor, msg::store_put_request{some_key, "value", 9000, true, 4, 5, true});
  CHECK_FALSE(put->complete());
  CHECK(k.db->last_condition.version == 4);
  CHECK(k.db->last_condition.fence == 5);
  CHECK(k.db->last_value.ttl == milliseconds{9000});
  CHECK(k.db->last_value.make_room);
  CHECK(k.db->last_timeout == 5s); // The caller has ten.
  k.db->serve();
  k.sys.run();
  REQUIRE(put->last<msg::store_put_reply>() != nullptr);
  CHECK(*put->last<msg::store_put_reply>() == msg::store_put_reply{true, 1});
  const auto got = k.sys.ask(k.actor, msg::store_get_request{some_key});
  const auto none = k.sys.ask(k.actor, msg::store_get_request{{"other", "response", "a"}});
  const auto listed = k.sys.ask(k.actor, msg::store_scan_request{"acme", "response", "b"});
  const auto gone = k.sys.ask(k.actor, msg::store_erase_request{some_key});
  for (int n = 0; n < 4; ++n)
    k.db->serve();
  k.sys.run();
  CHECK(*got->last<msg::store_get_reply>() == msg::store_get_reply{true, "value", 1, 7000});
  CHECK(*none->last<msg::store_get_reply>() == msg::store_get_reply{});
  CHECK(*listed->last<msg::store_scan_reply>()
        == msg::store_scan_reply{{{"bx", "value", 3, 0}}, true});
  CHECK(gone->last<msg::store_put_reply>()->done);
}

TEST_CASE("the store actor tells how the disk failed, and forgets who gave up", "[actors][store]") {
  keeper k{rt::test_system::hops::native};
  const auto put = k.sys.ask(k.actor, msg::store_put_request{some_key, "value"});
  const auto got = k.sys.ask(k.actor, msg::store_get_request{some_key});
  const auto left = k.sys.ask(k.actor, msg::store_get_request{some_key});
  k.sys.give_up(left);
  k.sys.tell(k.actor, msg::store_put_request{some_key, "untold"});
  k.db->serve(false);
  k.db->serve(false);
  k.db->serve();
  k.db->serve();
  k.sys.run();
  CHECK(put->why().code == errc::unavailable);
  CHECK(got->why().code == errc::malformed);
  CHECK(left->ends() <= 1);
  CHECK(k.db->entries.size() == 1); // Told or not, it is written.
}

TEST_CASE("the store gets less time than its caller has", "[actors][store]") {
  keeper k{rt::test_system::hops::native};
  const auto put = k.sys.ask(k.actor, msg::store_put_request{some_key, "value"}, k.sys.context(1s));
  CHECK(k.db->last_timeout == 980ms);
}

TEST_CASE("the sweep goes in steps while there is much, then waits", "[actors][store]") {
  keeper k{rt::test_system::hops::native};
  CHECK(k.db->sweeps.empty());
  caf::anon_send(k.actor, store_event{});
  k.sys.run();
  REQUIRE(k.db->sweeps.size() == 1);
  CHECK(k.db->sweep_max == 100);
  k.db->sweeps[0](std::size_t{100});
  k.sys.run();
  REQUIRE(k.db->sweeps.size() == 2);
  k.db->sweeps[1](std::size_t{99});
  k.sys.run();
  k.sys.advance(9s);
  CHECK(k.db->sweeps.size() == 2);
  k.sys.advance(2s);
  REQUIRE(k.db->sweeps.size() == 3);
  k.db->sweeps[2](fail(errc::unavailable, "the disk is gone"));
  k.sys.run();
  k.sys.advance(11s);
  CHECK(k.db->sweeps.size() == 4);
}
