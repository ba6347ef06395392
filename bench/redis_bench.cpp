// A Redis on this machine against what a node has of its own: a shard's actor, and the bare store.
// Usage: skep_redis_bench --port N
#include "actors/cache/shard.hpp"
#include "actors/redis/redis_level.hpp"
#include "bench/measure.hpp"
#include "runtime/io/redis_client.hpp"
#include "runtime/store/response_store.hpp"
#include "tests/support/real_system.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <semaphore>
#include <string>

namespace {

using namespace skep;
using namespace skep::bench;
using skep::test::real_system;

constexpr int runs = 5;
constexpr std::uint64_t keys = 1000;

struct shape {
  std::size_t bytes;
  const char* name;
  int operations;
};
constexpr shape shapes[]{
  {100, "100 B", 40'000}, {1024, "1 KiB", 40'000}, {16'384, "16 KiB", 8'000}};

/// Words of a fixed vocabulary, as compressible as prose, about.
std::string text_of(std::size_t bytes) {
  static constexpr const char* words[]{
    "the ",  "answer ", "model ", "of ",    "agents ", "and ", "cache ", "is ",
    "slow ", "prompt ", "in ",    "token ", "to ",     "a ",   "with ",  "honey "};
  std::uint64_t state = bytes;
  std::string text;
  while (text.size() < bytes) {
    state = state * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    text += words[state >> 60];
  }
  text.resize(bytes);
  return text;
}

msg::cache_get_request get_of(std::uint64_t n) {
  msg::cache_get_request get;
  get.key = {n % keys, n % keys};
  return get;
}

msg::cache_put_request put_of(std::uint64_t n, const std::string& value) {
  msg::cache_put_request put;
  put.key = {n % keys, n % keys};
  put.value = value;
  put.ttl_ms = 3'600'000;
  return put;
}

[[noreturn]] void stop_with(const std::string& why) {
  std::fprintf(stderr, "redis_bench: %s\n", why.c_str());
  std::exit(1);
}

// -- the client -----------------------------------------------------------------------------------

/// `depth` commands are always in flight, each followed by the next from its own callback; 1/s.
class client_load {
public:
  client_load(io::redis_client& client, bool puts, std::string value, int operations)
    : client_(client), puts_(puts), value_(std::move(value)), operations_(operations) {}

  double run(int depth) {
    const auto start = bench_clock::now();
    for (int n = 0; n < depth; ++n)
      next();
    done_.acquire();
    return operations_ / ns_since(start) * 1e9;
  }

private:
  void next() {
    const int n = started_.fetch_add(1, std::memory_order_relaxed);
    if (n >= operations_)
      return;
    auto key = "bench:" + std::to_string(static_cast<std::uint64_t>(n) % keys);
    io::redis_args words = puts_ ? io::redis_args{"SET", std::move(key), value_, "PX", "3600000"}
                                 : io::redis_args{"GET", std::move(key)};
    const auto taken = client_.submit(std::move(words), 10s, [this](expected<io::redis_reply> got) {
      if (!got || got->is(io::redis_reply::kind::error) || got->is(io::redis_reply::kind::nil))
        stop_with("Redis failed: " + (got ? got->text : to_string(got.error())));
      next();
      if (ended_.fetch_add(1, std::memory_order_acq_rel) + 1 == operations_)
        done_.release();
    });
    if (!taken)
      stop_with(to_string(taken.error()));
  }

  io::redis_client& client_;
  const bool puts_;
  const std::string value_;
  const int operations_;
  std::atomic<int> started_{0};
  std::atomic<int> ended_{0};
  std::binary_semaphore done_{0};
};

// -- actors ---------------------------------------------------------------------------------------

/// Keeps `depth` requests to an actor in flight.
class asker : public rt::bounded_actor {
public:
  struct task {
    caf::actor to;
    bool puts = false;
    std::string value;
    int operations = 0;
    int depth = 1;
    std::binary_semaphore* done = nullptr;
  };

  asker(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind, task what)
    : bounded_actor(config, env, kind), task_(std::move(what)) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const msg::ack&) {
      for (int n = 0; n < task_.depth; ++n)
        next();
    }};
  }

private:
  void next() {
    if (started_ == task_.operations)
      return;
    skep::context context;
    context.deadline = now() + 10s;
    const auto n = static_cast<std::uint64_t>(started_++);
    const auto ended = [this](const rt::answer& got) {
      if (got.why.code != errc::none)
        stop_with("an actor failed: " + to_string(got.why));
      next();
      if (++ended_ == task_.operations)
        task_.done->release();
    };
    if (task_.puts)
      ask(task_.to, context, put_of(n, task_.value), ended);
    else
      ask(task_.to, context, get_of(n), ended);
  }

  const task task_;
  int started_ = 0;
  int ended_ = 0;
};

double actor_rate(real_system& sys, const rt::actor_kind& kind, asker::task what) {
  std::binary_semaphore done{0};
  what.done = &done;
  const auto operations = what.operations;
  const auto client = sys.env.spawn<asker>(kind, std::move(what));
  const auto start = bench_clock::now();
  caf::anon_send(client, msg::ack{});
  done.acquire();
  const auto rate = operations / ns_since(start) * 1e9;
  caf::anon_send_exit(client, caf::exit_reason::kill);
  return rate;
}

double store_rate(bool puts, const std::string& value, int operations) {
  const auto at = clock::now();
  store::store_config config;
  config.bytes_max = std::size_t{1} << 30;
  store::response_store store{config, at};
  store::value_facts facts;
  facts.ttl = 1h;
  for (std::uint64_t n = 0; n < keys; ++n)
    store.put({n, n}, value, facts, at);
  std::size_t sum = 0;
  const auto start = bench_clock::now();
  for (std::uint64_t n = 0; n < static_cast<std::uint64_t>(operations); ++n) {
    if (puts)
      store.put({n % keys, n % keys}, value, facts, at);
    else
      sum += store.get({n % keys, n % keys}, at)->value->size();
  }
  const auto rate = operations / ns_since(start) * 1e9;
  if (!puts && sum != static_cast<std::size_t>(operations) * value.size())
    stop_with("the store lost something");
  return rate;
}

// -- the table ------------------------------------------------------------------------------------

struct parties {
  real_system sys;
  rt::actor_kind kind{sys.metrics, "bench", bounds()};
  std::shared_ptr<io::redis_client> client;
  caf::actor level;
  caf::actor shard;

  explicit parties(std::uint16_t port) {
    io::redis_client_config config;
    config.endpoint.port = port;
    client = std::make_shared<io::redis_client>(config, sys.metrics);
    actors::redis_level_config rules;
    rules.timeout = std::chrono::seconds{10};
    level = sys.adopt(sys.env.spawn<actors::redis_level>(kind, rules, client));
    actors::cache_shard_config one;
    one.store.bytes_max = std::size_t{1} << 30;
    shard = sys.adopt(sys.env.spawn<actors::cache_shard>(kind, "bench", one));
  }
  ~parties() {
    client->close(); // While the metrics are still there.
  }

  static rt::mailbox_bounds bounds() {
    rt::mailbox_bounds made;
    made.messages_max = 100'000;
    made.bytes_max = std::size_t{1} << 30;
    return made;
  }

  void fill(const std::string& value) {
    actor_rate(sys, kind, {level, true, value, static_cast<int>(keys), 16});
    for (std::uint64_t n = 0; n < keys; ++n)
      caf::anon_send(shard, rt::call{{}, nullptr, value.size()}, put_of(n, value));
    client_load{*client, true, value, static_cast<int>(keys)}.run(16);
  }
};

/// The shard answers no put, so the puts of both actors are told and the mailbox drained by a get.
double shard_puts(parties& p, const std::string& value, int operations) {
  const auto start = bench_clock::now();
  for (int n = 0; n < operations; ++n)
    caf::anon_send(p.shard, rt::call{{}, nullptr, value.size()},
                   put_of(static_cast<std::uint64_t>(n), value));
  actor_rate(p.sys, p.kind, {p.shard, false, {}, 1, 1});
  return operations / ns_since(start) * 1e9;
}

void measure(parties& p, const shape& of, bool puts, int depth) {
  const auto value = text_of(of.bytes);
  // A round trip at a time takes long; the figure needs fewer of them.
  const int operations = depth == 1 ? of.operations / 8 : of.operations;
  std::vector<double> client;
  std::vector<double> level;
  std::vector<double> shard;
  std::vector<double> bare;
  // Nothing is pipelined into a store, nor waited for when a shard is told: measured once.
  const bool once = depth == 1;
  const bool asks_shard = !puts || once;
  for (int run = 0; run < runs; ++run) {
    client.push_back(client_load{*p.client, puts, value, operations}.run(depth));
    level.push_back(actor_rate(p.sys, p.kind, {p.level, puts, value, operations, depth}));
    if (asks_shard)
      shard.push_back(puts ? shard_puts(p, value, of.operations)
                           : actor_rate(p.sys, p.kind, {p.shard, false, {}, operations, depth}));
    if (once)
      bare.push_back(store_rate(puts, value, of.operations));
  }
  const auto what = std::string{puts ? "put " : "get "} + of.name;
  const auto at = what + ", depth " + std::to_string(depth);
  print("Redis client: " + at, "1/s", client);
  print("cache/redis actor: " + at, "1/s", level);
  if (asks_shard)
    print("shard actor: " + (puts ? what + ", told" : at), "1/s", shard);
  if (once)
    print("bare store: " + what, "1/s", bare);
}

} // namespace

int main(int count, char** arguments) {
  if (count != 3 || std::strcmp(arguments[1], "--port") != 0) {
    std::fprintf(stderr, "usage: skep_redis_bench --port PORT_OF_A_REDIS\n");
    return 2;
  }
  parties all{static_cast<std::uint16_t>(std::atoi(arguments[2]))};
  for (const auto& of : shapes) {
    all.fill(text_of(of.bytes));
    for (const bool puts : {false, true})
      for (const int depth : {1, 16, 64})
        measure(all, of, puts, depth);
  }
  return 0;
}
