// Whatever happens to an embedder's callers and its provider, the books balance.
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scripted_embedder.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;
using std::chrono::milliseconds;

namespace {

struct one_call {
  std::vector<std::string> texts;
  std::shared_ptr<rt::answers> got;
  time_point deadline{};
  bool gave_up = false;
};

embeddings_config random_rules(flow::rng& random) {
  embeddings_config rules;
  rules.count_max = 2 + random.below(30);
  rules.batch_max = 1024;
  rules.age = milliseconds{random.below(10)};
  rules.in_flight_max = 1 + random.below(4);
  rules.queue_max = 60;
  rules.hedge = random.below(2) == 0;
  rules.hedge_samples_min = 5;
  rules.hedge_budget_percent = 50;
  rules.lines_max = 2;
  return rules;
}

bool has_bad(const one_call& call) {
  return std::any_of(call.texts.begin(), call.texts.end(),
                     [](const std::string& text) { return text.find("bad") == 0; });
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& each : texts)
    all += (all.empty() ? "" : " ") + each;
  return all;
}

/// A caller has its own vectors, or a reason that fits what happened to it.
void check_answer(const one_call& call) {
  if (call.gave_up)
    return;
  REQUIRE(call.got->complete());
  REQUIRE(call.got->ends() == 1);
  const auto text = embedding_desk::text_of(call.got);
  const auto why = call.got->why().code;
  CAPTURE(text, joined(call.texts));
  if (why == errc::none) {
    CHECK(!has_bad(call));
    CHECK(text == joined(call.texts));
  } else {
    // Trouble of the provider and full queues may strike anybody, a bad request only who made it.
    CHECK((why == errc::provider_failed || why == errc::overloaded || why == errc::deadline_exceeded
           || (why == errc::bad_request && has_bad(call))));
  }
}

} // namespace

TEST_CASE("every caller is answered once, with its own vectors or its own failure",
          "[actors][embedder]") {
  const auto seed = GENERATE(range(1, 41));
  CAPTURE(seed);
  flow::rng random{static_cast<std::uint64_t>(seed)};
  const auto rules = random_rules(random);
  embedding_desk d{rules, seed % 4 == 0 ? rt::test_system::hops::force_wire
                                        : rt::test_system::hops::native};
  d.script.usual = 20ms;
  std::vector<one_call> calls;
  for (int step = 0; step < 400; ++step) {
    const auto dice = random.below(10);
    if (dice < 6) {
      one_call call;
      for (auto n = random.below(4); n < 4; ++n)
        call.texts.push_back((random.below(40) == 0 ? "bad" : "t")
                             + std::to_string(random.below(30)));
      const auto patience = random.below(5) == 0 ? milliseconds{random.below(60) + 1} : 1h;
      call.deadline = d.sys.now() + patience;
      call.got = d.ask(call.texts, patience, random.below(8) == 0 ? "{\"d\":1}" : "");
      calls.push_back(std::move(call));
    } else if (dice == 6 && !calls.empty()) {
      auto& call = calls[random.below(static_cast<std::uint32_t>(calls.size()))];
      if (!call.got->complete()) {
        call.gave_up = true;
        d.sys.give_up(call.got);
        d.sys.run();
      }
    } else if (dice == 7) {
      d.script.slow[d.script.asked.size()] = milliseconds{random.below(500)};
      if (random.below(3) == 0)
        d.script.failures[d.script.asked.size()] = failure{errc::provider_failed, "as told"};
    } else {
      d.sys.advance(milliseconds{random.below(25)});
    }
  }
  d.sys.advance(1min);
  for (const auto& call : calls)
    check_answer(call);
  const auto answered_well = std::count_if(calls.begin(), calls.end(), [](const one_call& call) {
    return call.got->why().code == errc::none;
  });
  CHECK(answered_well > 20);
  CHECK(d.metric("in_flight") == 0);
  CHECK(d.metric("queued_texts") == 0);
  CHECK(d.metric("held_bytes") == 0);
  CHECK(d.metric("hedges_won_total") <= d.metric("hedges_total"));
}
