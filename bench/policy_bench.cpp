// The policy of an upstream route (docs/upstream-policy.md): its steps alone, and a call through a
// guard against one straight to the actor.
#include "bench/policy_bench.hpp"

#include "bench/measure.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/flow/gate.hpp"
#include "runtime/flow/retry_policy.hpp"
#include "runtime/node/upstream_options.hpp"
#include "tests/support/real_system.hpp"

namespace skep::bench {

namespace {

constexpr int runs = 9;
constexpr int calls = 500'000;

/// Every step on, with room for all: what is measured is the way of an admitted call.
rt::guard_config all_steps() {
  actors::upstream_options options;
  options.limit.adaptive = true;
  return actors::guard_of(options);
}

/// One call at a time through these steps, on a clock that moves like a busy node's: a call every
/// ten microseconds, so that windows turn over.
double gate_ns(const rt::guard_config& rules, bool retries) {
  flow::gate route{rules};
  flow::retry_policy policy;
  time_point now{1h};
  std::uint64_t began = 0;
  const auto start = bench_clock::now();
  for (int n = 0; n < calls; ++n) {
    now += 10us;
    const auto answer = route.acquire(now + 60s, now);
    if (retries)
      began += policy.begin(now).attempts;
    route.settle(answer.ticket, {errc::none, {}, 300ms}, now);
  }
  const auto spent = ns_since(start) / calls;
  return retries && began == 0 ? 0 : spent; // Keeps begin() from being optimized away.
}

void bench_steps() {
  auto no_limit = all_steps();
  no_limit.use_limit = false;
  std::vector<double> plain;
  std::vector<double> limited;
  std::vector<double> whole;
  for (int run = 0; run < runs; ++run) {
    plain.push_back(gate_ns(no_limit, false));
    limited.push_back(gate_ns(all_steps(), false));
    whole.push_back(gate_ns(all_steps(), true));
  }
  print("policy: gate, breaker and quota", "ns", plain);
  print("policy: gate, with the adaptive limit", "ns", limited);
  print("policy: whole chain, with the retry policy's begin", "ns", whole);
}

/// Answers inside its own enqueue, so that the guard is all that is added to a call.
class sink_actor : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    if (const auto token = rt::ensure_lease(*what)) {
      token->note_latency(300ms);
      token->reply(msg::ack{});
    }
  }

protected:
  caf::behavior make_behavior() override {
    return {[](const msg::ack&) {
      // Never called.
    }};
  }
};

double call_ns(const caf::actor& to) {
  skep::context context;
  context.deadline = clock::now() + 1h;
  const auto start = bench_clock::now();
  for (int n = 0; n < calls; ++n) {
    auto token = caf::make_counted<rt::lease>(nullptr, caf::make_message_id(1), 0);
    to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(1), {},
                                          rt::call{context, std::move(token), 64},
                                          msg::cache_clear_request{}),
                nullptr);
  }
  return ns_since(start) / calls;
}

void bench_guard() {
  test::real_system sys;
  rt::actor_kind sinks{sys.metrics, "sink", {}};
  auto sink = sys.adopt(sys.env.spawn<sink_actor>(sinks));
  const auto guarded = rt::guard::make(sys.env, "upstream", all_steps());
  rt::guard::of(guarded).put(sink);
  std::vector<double> through;
  std::vector<double> straight;
  interleaved(
    runs, [&] { return call_ns(guarded); }, [&] { return call_ns(sink); }, through, straight);
  std::vector<double> added;
  std::vector<double> ratios;
  for (std::size_t n = 0; n < through.size(); ++n) {
    added.push_back(through[n] - straight[n]);
    ratios.push_back(through[n] / straight[n]);
  }
  print("policy: call straight to an actor that answers at once", "ns", straight);
  print("policy: the same call through its guard", "ns", through);
  print("policy: added by the guard", "ns", added);
  print("policy: through the guard / straight", "ratio", ratios);
  rt::guard::of(guarded).absent();
}

} // namespace

void bench_policy() {
  bench_steps();
  bench_guard();
}

} // namespace skep::bench
