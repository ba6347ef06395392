#include "actors/provider/simulated_connector.hpp"
#include "messages/size.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"

#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t plenty = 1u << 20;

/// Ten tokens, the first after 50 ms, one every 10 ms.
provider_config steady() {
  provider_config options;
  options.kind = provider_kind::simulated;
  options.simulated.first_token = milliseconds{50};
  options.simulated.tokens_per_s = 100;
  options.simulated.tokens_min = options.simulated.tokens_max = 10;
  return options;
}

/// No latency at all.
provider_config at_once() {
  auto options = steady();
  options.simulated.first_token = milliseconds{0};
  options.simulated.tokens_per_s = 0;
  return options;
}

msg::chat_request say(const std::string& text, bool stream = false) {
  msg::chat_request request;
  request.model = "m";
  request.messages = {{"user", text, {}}};
  request.stream = stream;
  return request;
}

/// Each test runs twice: with native sends, and with each hop through codec and ZeroMQ.
struct simulation {
  explicit simulation(const provider_config& options = steady())
    : sys(GENERATE(test_system::hops::native, test_system::hops::force_wire)),
      meters(sys.env().metrics(), "sim"),
      connector(sys.spawn<simulated_connector>(sys.kind("provider"), "sim",
                                               std::make_shared<const provider_config>(options))) {}

  std::shared_ptr<answers> ask(const msg::chat_request& request, std::uint64_t window = plenty) {
    return sys.ask(connector, request, sys.context(), window);
  }

  test_system sys;
  provider_meters meters;
  caf::actor connector;
};

std::string text_of(const answers& got) {
  std::string text;
  for (std::size_t n = 0; n < got.size(); ++n)
    if (const auto* piece = got.get<msg::chat_chunk>(n))
      text += piece->content;
  return text;
}

std::size_t chunks_of(const answers& got) {
  std::size_t count = 0;
  for (std::size_t n = 0; n < got.size(); ++n)
    count += got.get<msg::chat_chunk>(n) != nullptr ? 1 : 0;
  return count;
}

} // namespace

TEST_CASE("a simulated answer takes as long as its tokens", "[actors][provider][simulated]") {
  simulation sim;
  const auto got = sim.ask(say("hi"));
  sim.sys.advance(149ms);
  CHECK(!got->complete());
  CHECK(sim.meters.in_flight.value() == 1);
  sim.sys.advance(1ms);
  CHECK(got->story() == "reply");
  const auto* reply = got->last<msg::chat_reply>();
  REQUIRE(reply != nullptr);
  CHECK(reply->model == "m");
  CHECK(reply->choices.at(0).content.starts_with("[simulated] "));
  CHECK(reply->choices.at(0).finish_reason == "stop");
  CHECK(reply->usage.completion == 10);
  CHECK(reply->usage.estimated);
  CHECK(sim.meters.in_flight.value() == 0);
}

TEST_CASE("a simulated stream keeps its pace", "[actors][provider][simulated]") {
  simulation sim;
  const auto got = sim.ask(say("hi", true));
  sim.sys.advance(49ms);
  CHECK(got->story() == "");
  sim.sys.advance(1ms);
  CHECK(got->story() == "open chunk");
  sim.sys.advance(30ms);
  CHECK(chunks_of(*got) == 4);
  sim.sys.advance(70ms);
  CHECK(got->complete());
  CHECK(got->ends() == 1);
  // Ten tokens and the finish reason.
  CHECK(chunks_of(*got) == 11);
  CHECK(got->last<msg::chat_end>()->usage.completion == 10);
  CHECK(got->last<msg::chat_end>()->usage.estimated);
}

TEST_CASE("without latency a simulated answer needs no timer", "[actors][provider][simulated]") {
  simulation sim{at_once()};
  const auto before = sim.sys.now();
  const auto whole = sim.ask(say("hi"));
  const auto streamed = sim.ask(say("hi", true));
  CHECK(whole->story() == "reply");
  CHECK(streamed->complete());
  CHECK(sim.sys.now() == before);
  CHECK(text_of(*streamed) == whole->last<msg::chat_reply>()->choices.at(0).content);
}

TEST_CASE("a simulated provider repeats itself, whoever asks and when",
          "[actors][provider][simulated]") {
  simulation sim{at_once()};
  const auto words = [&](const std::string& question) {
    return sim.ask(say(question))->last<msg::chat_reply>()->choices.at(0).content;
  };
  const auto first = words("one");
  CHECK(words("two") != first);
  CHECK(words("one") == first);
}

TEST_CASE("max_tokens cuts a simulated answer to length", "[actors][provider][simulated]") {
  simulation sim{at_once()};
  auto request = say("hi", true);
  request.parameters = R"({"max_completion_tokens":3})";
  const auto got = sim.ask(request);
  CHECK(chunks_of(*got) == 4);
  CHECK(got->get<msg::chat_chunk>(4)->finish_reason == "length");
  CHECK(got->last<msg::chat_end>()->usage.completion == 3);
}

TEST_CASE("a simulated stream waits for credit and goes on with a grant",
          "[actors][provider][simulated]") {
  simulation sim;
  const auto got = sim.ask(say("hi", true), 1);
  sim.sys.advance(5s);
  CHECK(got->story() == "open chunk");
  const auto cost = bytes_of(*got->get<msg::chat_chunk>(1));
  sim.sys.grant(got, cost);
  CHECK(chunks_of(*got) == 2);
  sim.sys.grant(got, plenty);
  CHECK(chunks_of(*got) == 11);
  CHECK(got->complete());
}

TEST_CASE("a simulated stream opens on time even without credit", "[actors][provider][simulated]") {
  simulation sim;
  const auto got = sim.ask(say("hi", true), 0);
  sim.sys.advance(50ms);
  CHECK(got->story() == "open");
  sim.sys.grant(got, plenty);
  CHECK(chunks_of(*got) == 1);
}

TEST_CASE("a simulated answer nobody wants any more is dropped", "[actors][provider][simulated]") {
  simulation sim;
  const bool stream = GENERATE(false, true);
  const auto got = sim.ask(say("hi", stream));
  sim.sys.advance(60ms);
  const auto before = got->size();
  CHECK(sim.meters.in_flight.value() == 1);
  sim.sys.give_up(got);
  CHECK(sim.meters.in_flight.value() == 0);
  sim.sys.advance(1s);
  CHECK(got->size() == before);
}

TEST_CASE("a simulated answer that takes too long ends with its deadline",
          "[actors][provider][simulated]") {
  simulation sim;
  const auto got = sim.sys.ask(sim.connector, say("hi"), sim.sys.context(100ms));
  sim.sys.advance(101ms);
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK(sim.meters.in_flight.value() == 0);
}

TEST_CASE("a simulated provider fails as often as it is told", "[actors][provider][simulated]") {
  auto options = at_once();
  options.simulated.failure_rate = 0.3;
  options.simulated.rate_limited_rate = 0.2;
  simulation sim{options};
  int failed = 0;
  int limited = 0;
  for (int n = 0; n < 400; ++n) {
    const auto got = sim.ask(say("hi"));
    failed += got->why().code == errc::provider_failed ? 1 : 0;
    limited += got->why().code == errc::rate_limited ? 1 : 0;
    if (got->why().code == errc::rate_limited)
      CHECK(got->why().retry_after == milliseconds{1000});
  }
  // Five standard deviations around 120 and 80.
  CHECK(failed > 74);
  CHECK(failed < 166);
  CHECK(limited > 40);
  CHECK(limited < 120);
}

TEST_CASE("a simulated answer may break off", "[actors][provider][simulated]") {
  auto options = steady();
  options.simulated.cut_rate = 1;
  simulation sim{options};
  const auto streamed = sim.ask(say("hi", true));
  const auto whole = sim.ask(say("hi"));
  sim.sys.advance(1s);
  CHECK(streamed->ends() == 1);
  CHECK(streamed->why().code == errc::stream_cut);
  CHECK(chunks_of(*streamed) >= 1);
  CHECK(chunks_of(*streamed) <= 10);
  CHECK(whole->story() == "failed");
  CHECK(whole->why().code == errc::stream_cut);
}

TEST_CASE("simulated latency spreads as configured", "[actors][provider][simulated]") {
  auto options = at_once();
  options.simulated.first_token = milliseconds{100};
  options.simulated.spread = 0.5;
  options.simulated.shape = GENERATE(latency_shape::uniform, latency_shape::lognormal);
  simulation sim{options};
  int early = 0;
  for (int n = 0; n < 200; ++n) {
    const auto got = sim.ask(say("hi"));
    sim.sys.advance(49ms);
    if (options.simulated.shape == latency_shape::uniform)
      CHECK(!got->complete());
    sim.sys.advance(51ms);
    early += got->complete() ? 1 : 0;
    sim.sys.advance(options.simulated.shape == latency_shape::uniform ? 51ms : 5s);
    CHECK(got->complete());
  }
  // The median is what was configured: five standard deviations around a half.
  CHECK(early > 64);
  CHECK(early < 136);
}

TEST_CASE("a simulated provider refuses what is over in_flight_max",
          "[actors][provider][simulated]") {
  auto options = steady();
  options.in_flight_max = 2;
  simulation sim{options};
  const auto one = sim.ask(say("1"));
  const auto two = sim.ask(say("2", true));
  const auto three = sim.ask(say("3"));
  CHECK(three->why().code == errc::overloaded);
  CHECK(three->why().retry_after > milliseconds{0});
  CHECK(sim.meters.refused.value() == 1);
  sim.sys.advance(1s);
  CHECK(one->complete());
  CHECK(two->complete());
}

TEST_CASE("a simulated provider that dies ends what it had at work",
          "[actors][provider][simulated]") {
  simulation sim;
  const auto whole = sim.ask(say("hi"));
  const auto streamed = sim.ask(say("hi", true));
  sim.sys.advance(60ms);
  sim.sys.kill(sim.connector);
  sim.sys.advance(100ms);
  CHECK(whole->story() == "failed");
  CHECK(streamed->ends() == 1);
  CHECK(sim.meters.in_flight.value() == 0);
}

TEST_CASE("a simulated provider lists its models", "[actors][provider][simulated]") {
  auto options = steady();
  options.models = {"small", "large"};
  simulation sim{options};
  const auto got = sim.sys.ask_for<msg::models_reply>(sim.connector, msg::models_request{});
  REQUIRE(got);
  REQUIRE(got->models.size() == 2);
  CHECK(got->models[1].id == "large");
}
