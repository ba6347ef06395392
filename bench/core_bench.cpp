// What the runtime costs inside one process: spawns, pools, mailboxes, codec, picker, cache,
// and the policy in front of an upstream.
#include "actors/agent/agent.hpp"
#include "actors/pool/pool.hpp"
#include "bench/measure.hpp"
#include "bench/policy_bench.hpp"
#include "messages/codec.hpp"
#include "runtime/flow/picker.hpp"
#include "runtime/store/response_store.hpp"
#include "runtime/telemetry/process_metrics.hpp"
#include "tests/support/real_system.hpp"
#include "tests/support/sample_messages.hpp"

#include <caf/event_based_actor.hpp>
#include <malloc.h>

#include <cstring>
#include <semaphore>

namespace {

using namespace skep;
using namespace skep::bench;
using skep::test::eventually;
using skep::test::real_system;

constexpr int runs = 7;

// -- spawns and pools -----------------------------------------------------------------------------

actors::agent_definition_ptr some_definition() {
  actors::agent_definition definition;
  definition.name = "bench";
  definition.instructions = "You are a helpful assistant.";
  definition.parameters = R"({"temperature":0.5})";
  return std::make_shared<const actors::agent_definition>(std::move(definition));
}

caf::mailbox_element_ptr first_message() {
  return caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, msg::ack{});
}

/// Spawn an agent with its definition bound and have its first message accepted.
void bench_spawn() {
  std::vector<double> medians;
  std::vector<double> tails;
  for (int run = 0; run < runs; ++run) {
    real_system sys;
    rt::actor_kind kind{sys.metrics, "agent", {}};
    const auto definition = some_definition();
    std::vector<caf::actor> made;
    std::vector<double> samples;
    made.reserve(20'000);
    for (std::size_t n = 0; n < 20'000; ++n) {
      // In bursts: what is measured is a spawn, not a machine with more threads than cores. The
      // first of a burst also wakes a sleeping thread.
      if (n % 256 == 0)
        eventually([&] { return kind.metrics.processed.value() == n; });
      const auto start = bench_clock::now();
      auto who = sys.env.spawn<actors::agent>(kind, definition);
      who->enqueue(first_message(), nullptr);
      samples.push_back(ns_since(start));
      made.push_back(std::move(who));
    }
    eventually([&] { return kind.metrics.processed.value() == made.size(); });
    for (auto& who : made)
      sys.adopt(std::move(who));
    medians.push_back(quantile(samples, 0.5));
    tails.push_back(quantile(samples, 0.99));
  }
  print("agent cold spawn, median", "ns", medians);
  print("agent cold spawn, p99", "ns", tails);
}

void bench_memory() {
  for (const std::size_t count : {10'000u, 100'000u, 1'000'000u}) {
    real_system sys;
    rt::actor_kind kind{sys.metrics, "agent", {}};
    const auto definition = some_definition();
    std::vector<caf::actor> made;
    made.reserve(count);
    malloc_trim(0);
    const auto before = telemetry::read_process_usage().resident_bytes;
    for (std::size_t n = 0; n < count; ++n) {
      made.push_back(sys.env.spawn<actors::agent>(kind, definition));
      made.back()->enqueue(first_message(), nullptr);
    }
    while (kind.metrics.processed.value() < count)
      std::this_thread::yield();
    const auto after = telemetry::read_process_usage().resident_bytes;
    print("resident bytes per idle agent, " + std::to_string(count), "bytes",
          {static_cast<double>(after - before) / static_cast<double>(count)});
    for (auto& who : made)
      caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
    made.clear();
    while (sys.env.live_actors() > 0)
      std::this_thread::yield();
  }
}

/// Answers at once, so that what is measured is the way there and back.
class instant_actor : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::cache_clear_request&) { reply(c, msg::ack{}); },
            [](const msg::ack&) {
              // Warm-up.
            }};
  }
};

/// Answers inside its own enqueue, so that checkout and return are all a pool adds to a call.
class sink_actor : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    if (const auto token = rt::ensure_lease(*what))
      token->reply(msg::ack{});
  }

protected:
  caf::behavior make_behavior() override {
    return {[](const msg::ack&) {
      // Never called.
    }};
  }
};

double checkout_ns(const caf::actor& to, int count) {
  const auto start = bench_clock::now();
  for (int n = 0; n < count; ++n) {
    auto token = caf::make_counted<rt::lease>(nullptr, caf::make_message_id(1), 0);
    to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(1), {},
                                          rt::call{{}, std::move(token), 64},
                                          msg::cache_clear_request{}),
                nullptr);
  }
  return ns_since(start) / count;
}

void bench_pool() {
  real_system sys;
  rt::actor_kind sinks{sys.metrics, "sink", {}};
  rt::actor_kind pools{sys.metrics, "pool", {}};
  actors::pool_config bounds;
  auto& env = sys.env;
  auto sink = sys.adopt(env.spawn<sink_actor>(sinks));
  auto pool = sys.adopt(
    env.spawn<actors::pool>(pools, "sink", bounds, [&] { return env.spawn<sink_actor>(sinks); }));
  caf::anon_send(pool, msg::ack{});
  std::vector<double> through_pool;
  std::vector<double> direct;
  std::vector<double> difference;
  for (int run = 0; run < runs; ++run) {
    direct.push_back(checkout_ns(sink, 200'000));
    through_pool.push_back(checkout_ns(pool, 200'000));
    difference.push_back(through_pool.back() - direct.back());
  }
  print("pool checkout and return, inside the pool", "ns", difference);
  print("pool checkout and return, call and lease included", "ns", through_pool);
}

// -- mailboxes ------------------------------------------------------------------------------------

/// Counts messages like plain_counter, behind a bounded mailbox.
class bounded_counter : public rt::bounded_actor {
public:
  bounded_counter(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                  int count, std::binary_semaphore& when_done)
    : bounded_actor(config, env, kind), left_(count), done_(when_done) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call&, const msg::cache_clear_request&) {
      if (--left_ == 0)
        done_.release();
    }};
  }

private:
  int left_;
  std::binary_semaphore& done_;
};

caf::behavior plain_counter(caf::event_based_actor* self, int count, std::binary_semaphore* done) {
  auto left = std::make_shared<int>(count);
  return {[self, left, done](const rt::call&, const msg::cache_clear_request&) {
    if (--*left == 0) {
      done->release();
      self->quit();
    }
  }};
}

double send_all(const caf::actor& to, int count, std::binary_semaphore& done) {
  const auto start = bench_clock::now();
  for (int n = 0; n < count; ++n)
    to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                          rt::call{{}, nullptr, 64}, msg::cache_clear_request{}),
                nullptr);
  done.acquire();
  return count / ns_since(start) * 1e9;
}

void bench_mailbox() {
  constexpr int count = 500'000;
  std::vector<double> ours;
  std::vector<double> plain;
  real_system sys;
  rt::mailbox_bounds bounds;
  bounds.messages_max = count + 1;
  bounds.bytes_max = std::size_t{1} << 40;
  rt::actor_kind kind{sys.metrics, "counter", bounds};
  interleaved(
    runs,
    [&] {
      std::binary_semaphore done{0};
      auto to = sys.adopt(sys.env.spawn<bounded_counter>(kind, count, done));
      return send_all(to, count, done);
    },
    [&] {
      std::binary_semaphore done{0};
      auto to = sys.system.spawn(plain_counter, count, &done);
      return send_all(to, count, done);
    },
    ours, plain);
  print("bounded actor, messages", "1/s", ours);
  print("plain CAF actor, messages", "1/s", plain);
  std::vector<double> ratios;
  for (std::size_t n = 0; n < ours.size(); ++n)
    ratios.push_back(ours[n] / plain[n]);
  print("bounded / plain CAF messages", "ratio", ratios);
}

/// Asks `to` again and again, one request at a time.
class asker : public rt::bounded_actor {
public:
  asker(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind, caf::actor to,
        int count, std::binary_semaphore& when_done)
    : bounded_actor(config, env, kind), to_(std::move(to)), left_(count), done_(when_done) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const msg::ack&) { next(); }};
  }

private:
  void next() {
    skep::context context;
    context.deadline = now() + 10s;
    ask(to_, context, msg::cache_clear_request{}, [this](const rt::answer&) {
      if (--left_ == 0)
        done_.release();
      else
        next();
    });
  }

  caf::actor to_;
  int left_;
  std::binary_semaphore& done_;
};

double plain_round_trips(real_system& sys, int count) {
  std::binary_semaphore done{0};
  auto server = sys.system.spawn(
    []() -> caf::behavior { return {[](const msg::cache_clear_request&) { return msg::ack{}; }}; });
  auto client = sys.system.spawn([server, count, &done](caf::event_based_actor* self) {
    auto left = std::make_shared<int>(count);
    auto next = std::make_shared<std::function<void()>>();
    *next = [self, server, left, next = next.get(), &done] {
      self->request(server, std::chrono::seconds{10}, msg::cache_clear_request{})
        .then([self, left, next, &done](const msg::ack&) {
          if (--*left == 0) {
            done.release();
            self->quit();
          } else {
            (*next)();
          }
        });
    };
    self->attach_functor([next] {
      // Keeps the function as long as the actor.
    });
    (*next)();
  });
  const auto start = bench_clock::now();
  done.acquire();
  const auto each = ns_since(start) / count;
  caf::anon_send_exit(server, caf::exit_reason::user_shutdown);
  return each;
}

void bench_round_trip() {
  constexpr int count = 50'000;
  real_system sys;
  rt::actor_kind kind{sys.metrics, "pair", {}};
  rt::actor_kind pools{sys.metrics, "pool", {}};
  auto server = sys.adopt(sys.env.spawn<instant_actor>(kind));
  auto& env = sys.env;
  auto pool = sys.adopt(env.spawn<actors::pool>(pools, "instant", actors::pool_config{},
                                                [&] { return env.spawn<instant_actor>(kind); }));
  caf::anon_send(pool, msg::ack{});
  const auto round_trips = [&](const caf::actor& to) {
    std::binary_semaphore done{0};
    auto client = sys.adopt(env.spawn<asker>(kind, to, count, done));
    const auto start = bench_clock::now();
    caf::anon_send(client, msg::ack{});
    done.acquire();
    return ns_since(start) / count;
  };
  std::vector<double> ours;
  std::vector<double> pooled;
  std::vector<double> plain;
  std::vector<double> added;
  for (int run = 0; run < runs; ++run) {
    plain.push_back(plain_round_trips(sys, count));
    ours.push_back(round_trips(server));
    pooled.push_back(round_trips(pool));
    added.push_back(pooled.back() - ours.back());
  }
  print("request round trip, bounded actors", "ns", ours);
  print("request round trip, plain CAF request/then", "ns", plain);
  print("pool checkout and return, across actors (added to a round trip)", "ns", added);
}

// -- codec, picker, cache -------------------------------------------------------------------------

template <class T>
void bench_codec(const T& value) {
  constexpr int count = 100'000;
  std::string bytes;
  encode(value, bytes);
  std::vector<double> encodes;
  std::vector<double> decodes;
  for (int run = 0; run < runs; ++run) {
    std::string out;
    auto start = bench_clock::now();
    for (int n = 0; n < count; ++n) {
      out.clear();
      encode(value, out);
    }
    encodes.push_back(ns_since(start) / count);
    start = bench_clock::now();
    std::size_t good = 0;
    for (int n = 0; n < count; ++n)
      good += decode<T>(bytes).has_value() ? 1 : 0;
    decodes.push_back(ns_since(start) / static_cast<double>(good));
  }
  const std::string name{message_name<T>()};
  print("encode " + name, "ns", encodes);
  print("decode " + name, "ns", decodes);
}

void bench_codecs() {
  std::apply([](const auto&... sample) { (bench_codec(sample), ...); }, test::sample_messages());
}

void bench_picker() {
  for (const std::uint32_t members : {2u, 16u, 256u}) {
    flow::picker_config config;
    config.slots_max = members;
    flow::picker picker{config};
    for (std::uint32_t n = 0; n < members; ++n)
      picker.enable(*picker.add(1 + n % 3, 1000), true);
    flow::rng random{42};
    std::vector<double> picks;
    for (int run = 0; run < runs; ++run) {
      constexpr int count = 1'000'000;
      const auto start = bench_clock::now();
      for (int n = 0; n < count; ++n)
        picker.release(*picker.take(random));
      picks.push_back(ns_since(start) / count);
    }
    print("balancer pick and release, " + std::to_string(members) + " members", "ns", picks);
  }
}

void bench_cache() {
  const time_point at{std::chrono::hours{1}};
  constexpr std::uint64_t keys = 100'000;
  const std::string value(1024, 'x');
  std::vector<double> puts;
  std::vector<double> gets;
  for (int run = 0; run < runs; ++run) {
    store::store_config config;
    config.bytes_max = std::size_t{1} << 30;
    store::response_store store{config, at};
    auto start = bench_clock::now();
    for (std::uint64_t n = 0; n < keys; ++n)
      store.put({n * 0x9e37'79b9'7f4a'7c15ull, n}, value, {1h}, at);
    puts.push_back(ns_since(start) / keys);
    flow::rng random{7};
    start = bench_clock::now();
    for (std::uint64_t n = 0; n < keys; ++n) {
      const std::uint64_t k = random.below(keys);
      store.get({k * 0x9e37'79b9'7f4a'7c15ull, k}, at);
    }
    gets.push_back(ns_since(start) / keys);
  }
  print("cache put, 1 KiB", "ns", puts);
  print("cache get, 1 KiB", "ns", gets);
}

} // namespace

int main(int argc, char** argv) {
  const auto wanted = [&](const char* name) { return argc < 2 || std::strcmp(argv[1], name) == 0; };
  if (wanted("spawn"))
    bench_spawn();
  if (wanted("memory"))
    bench_memory();
  if (wanted("pool"))
    bench_pool();
  if (wanted("mailbox"))
    bench_mailbox();
  if (wanted("round-trip"))
    bench_round_trip();
  if (wanted("codec"))
    bench_codecs();
  if (wanted("picker"))
    bench_picker();
  if (wanted("cache"))
    bench_cache();
  if (wanted("policy"))
    bench_policy();
}
