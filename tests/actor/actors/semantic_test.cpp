#include "actors/semantic/semantic_cache.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "messages/core.hpp"
#include "runtime/store/lexical_embedder.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t seed = 3;

/// A provider of vectors that remembers what it was asked and answers as told.
struct embed_script {
  std::vector<std::vector<std::string>> batches;
  enum class mode { answer, fail, hold, few, nonsense } how = mode::answer;
};

class scripted_embedder : public bounded_actor {
public:
  scripted_embedder(caf::actor_config& config, environment& env, const actor_kind& kind,
                    embed_script& script)
    : bounded_actor(config, env, kind), script_(script) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::embed_request& request) { embed(c, request); }};
  }

private:
  void embed(const call& c, const msg::embed_request& request) {
    CHECK(request.model == "small");
    script_.batches.push_back(request.texts);
    msg::embed_reply made;
    for (const auto& text : request.texts)
      made.embeddings.push_back({bytes_of_floats(store::lexical_embedder::embed(text))});
    switch (script_.how) {
      case embed_script::mode::fail: return refuse(c, failure{errc::provider_failed, "as told"});
      case embed_script::mode::hold: held_.push_back(take(c)); return;
      case embed_script::mode::few: made.embeddings.pop_back(); break;
      case embed_script::mode::nonsense: made.embeddings.front().values = "abc"; break;
      case embed_script::mode::answer: break;
    }
    reply(c, std::move(made));
  }

  embed_script& script_;
  std::vector<responder> held_;
};

semantic_config with_provider() {
  semantic_config config;
  config.embedder = "up/small";
  return config;
}

/// Each test runs twice: with native sends, and with each hop through codec and ZeroMQ.
struct semantic {
  explicit semantic(semantic_config config = {})
    : sys(GENERATE(test_system::hops::native, test_system::hops::force_wire)) {
    config.mode = semantic_mode::serve;
    sys.env().directory().add("provider/up",
                              sys.env().spawn<scripted_embedder>(sys.kind("up"), script));
    sys.adopt(sys.env().directory().find("provider/up"));
    cache = sys.spawn<semantic_cache>(sys.kind("semantic"),
                                      semantic_cache::policies{{"faq", config}}, seed);
  }
  ~semantic() {
    sys.env().directory().clear();
  }

  msg::semantic_find_reply find(const std::string& text, std::uint64_t partition = 1,
                                const std::string& policy = "faq") {
    const auto got = sys.ask_for<msg::semantic_find_reply>(
      cache, msg::semantic_find_request{policy, {partition, 0}, text});
    REQUIRE(got);
    return *got;
  }
  std::shared_ptr<answers> begin_find(const std::string& text) {
    return sys.ask(cache, msg::semantic_find_request{"faq", {1, 0}, text});
  }
  void learn(const std::string& text, std::uint64_t key, std::uint64_t partition = 1) {
    msg::semantic_learn_request request;
    request.policy = "faq";
    request.partition = {partition, 0};
    request.text = text;
    request.key = {0, key};
    sys.tell(cache, request);
  }
  /// What a flight reports when the candidate's answer was compared: there, or here by its text.
  void compare(const std::string& text, std::uint64_t key, const msg::semantic_find_reply& found,
               const std::string& answer, const std::string& candidate) {
    sys.tell(cache,
             msg::semantic_learn_request{
               "faq", {1, 0}, text, {0, key}, 0, found.key, found.similarity, answer, candidate});
  }
  double metric(std::string_view name, std::string_view label = "faq") {
    for (const auto& family : sys.env().metrics().collect())
      for (const auto& series : family.series)
        if (family.name == name
            && std::any_of(series.labels.begin(), series.labels.end(),
                           [&](const auto& each) { return each.second == label; }))
          return value_of(series.value);
    return -1;
  }
  template <class Value>
  static double value_of(const Value& value) {
    if (const auto* number = std::get_if<double>(&value))
      return *number;
    if (const auto* count = std::get_if<std::uint64_t>(&value))
      return static_cast<double>(*count);
    return static_cast<double>(std::get<std::int64_t>(value));
  }

  embed_script script;
  test_system sys;
  caf::actor cache;
};

const std::string question = "How do I reset the password of user 42?";
const std::string reworded = "how can I reset the password of user 42";

} // namespace

TEST_CASE("a text that was learnt is a candidate for one that means the same",
          "[actors][semantic]") {
  semantic s;
  CHECK(s.find(question) == msg::semantic_find_reply{});
  s.learn(question, 7);
  const auto found = s.find(reworded);
  CHECK(found.candidate);
  CHECK(!found.serve); // Nothing is proved yet.
  CHECK(found.key == msg::cache_key{0, 7});
  CHECK(found.similarity >= 900);
  CHECK(!s.find("How do I reset the password of user 43?").candidate);
  CHECK(!s.find(reworded, 2).candidate);
  CHECK(!s.find(reworded, 1, "unknown").candidate);
  CHECK(!s.find("").candidate);
  CHECK(s.metric("skep_semantic_finds_total") == 4);
  CHECK(s.metric("skep_semantic_candidates_total") == 1);
  CHECK(s.metric("skep_semantic_entries") == 1);
  CHECK(s.metric("skep_semantic_bytes") > 256);
  CHECK(s.metric("skep_semantic_serving") == 0);
  CHECK(s.metric("skep_semantic_false_hit_bound") == 1);
}

TEST_CASE("it serves once its would-be hits have proved right, and not after they prove wrong",
          "[actors][semantic]") {
  semantic s;
  constexpr std::uint64_t topics = 40;
  const auto ask_of = [](std::uint64_t n) { return "What is topic number " + std::to_string(n); };
  for (std::uint64_t n = 0; n < topics; ++n)
    s.learn(ask_of(n), 100 + n);
  const auto round = [&](std::uint64_t n, const std::string& answer) {
    const auto text = "tell me what is topic number " + std::to_string(n % topics);
    const auto found = s.find(text);
    REQUIRE(found.candidate);
    if (!found.serve)
      s.compare(text, 1000 + n, found, answer, "Topic " + std::to_string(n % topics) + ".");
    // What was learnt under its own key must not be found in its place again.
    s.sys.ask_for<msg::ack>(s.cache, msg::semantic_revoke_request{{0, 1000 + n}});
    return found.serve;
  };
  std::uint64_t n = 0;
  while (n < 2000 && !round(n, "topic " + std::to_string(n % topics)))
    ++n;
  CHECK(n > 381);
  CHECK(n < 1500);
  CHECK(s.metric("skep_semantic_serving") == 1);
  CHECK(s.metric("skep_semantic_false_hit_ratio") == 0);
  CHECK(s.metric("skep_semantic_false_hit_bound") < 0.01);
  CHECK(s.metric("skep_semantic_served_total") == 1);
  CHECK(s.metric("skep_semantic_compared_total", "right") == static_cast<double>(n));
  // The world changes: explored comparisons notice.
  for (int more = 0; more < 3000 && s.metric("skep_semantic_serving") == 1; ++more)
    round(++n, "something else");
  CHECK(s.metric("skep_semantic_serving") == 0);
  CHECK(s.metric("skep_semantic_false_hit_bound") >= 0.01);
  CHECK(s.metric("skep_semantic_compared_total", "wrong") >= 1);
}

TEST_CASE("a revoked answer is no candidate for another text again", "[actors][semantic]") {
  semantic s;
  s.learn(question, 7);
  REQUIRE(s.find(reworded).candidate);
  CHECK(s.sys.ask_for<msg::ack>(s.cache, msg::semantic_revoke_request{{0, 7}}));
  CHECK(!s.find(reworded).candidate);
  s.learn(question, 7);
  CHECK(!s.find(reworded).candidate);
  CHECK(s.metric("skep_semantic_index_refused_total") == 1);
  s.learn(question, 8);
  CHECK(s.find(reworded).candidate);
}

TEST_CASE("a text is forgotten after its time to live", "[actors][semantic]") {
  semantic_config config;
  config.ttl = milliseconds{90'000};
  semantic s{config};
  s.learn(question, 7);
  s.sys.advance(89s);
  CHECK(s.find(reworded).candidate);
  s.sys.advance(60s);
  CHECK(!s.find(reworded).candidate);
  CHECK(s.metric("skep_semantic_entries") == 0);
}

TEST_CASE("texts that are too long take no part", "[actors][semantic]") {
  semantic_config config;
  config.text_max = 64;
  semantic s{config};
  const std::string text(65, 'a');
  s.learn(text, 7);
  CHECK(!s.find(text).candidate);
  CHECK(s.metric("skep_semantic_refused_total") == 2);
}

TEST_CASE("texts that come together share one request for vectors", "[actors][semantic]") {
  semantic s{with_provider()};
  const auto first = s.begin_find(question);
  const auto second = s.begin_find("What is lead?");
  CHECK(!first->complete());
  CHECK(s.script.batches.empty());
  s.sys.advance(5ms);
  REQUIRE(first->complete());
  REQUIRE(second->complete());
  REQUIRE(s.script.batches.size() == 1);
  CHECK(s.script.batches[0] == std::vector<std::string>{question, "What is lead?"});
  // What was just looked up is learnt without asking again.
  s.learn(question, 7);
  CHECK(s.script.batches.size() == 1);
  const auto found = s.begin_find(reworded);
  s.sys.advance(5ms);
  REQUIRE(found->last<msg::semantic_find_reply>() != nullptr);
  CHECK(found->last<msg::semantic_find_reply>()->candidate);
}

TEST_CASE("a full batch does not wait", "[actors][semantic]") {
  auto config = with_provider();
  config.batch_max = 2;
  semantic s{config};
  const auto first = s.begin_find(question);
  CHECK(!first->complete());
  const auto second = s.begin_find(reworded);
  CHECK(first->complete());
  CHECK(second->complete());
  REQUIRE(s.script.batches.size() == 1);
}

TEST_CASE("without vectors there is no candidate, and nothing fails", "[actors][semantic]") {
  const auto how = GENERATE(embed_script::mode::fail, embed_script::mode::hold,
                            embed_script::mode::few, embed_script::mode::nonsense);
  semantic s{with_provider()};
  s.script.how = how;
  const auto found = s.begin_find(question);
  s.sys.advance(5ms);
  s.sys.advance(200ms);
  REQUIRE(found->complete());
  REQUIRE(found->last<msg::semantic_find_reply>() != nullptr);
  CHECK(!found->last<msg::semantic_find_reply>()->candidate);
  CHECK(s.metric("skep_semantic_embed_failures_total") == 1);
}

TEST_CASE("a provider that is not there costs nothing but the candidates", "[actors][semantic]") {
  auto config = with_provider();
  config.embedder = "gone/small";
  semantic s{config};
  const auto found = s.begin_find(question);
  s.sys.advance(5ms);
  REQUIRE(found->last<msg::semantic_find_reply>() != nullptr);
  CHECK(!found->last<msg::semantic_find_reply>()->candidate);
}

TEST_CASE("no more texts wait for vectors than lookups_max", "[actors][semantic]") {
  auto config = with_provider();
  config.lookups_max = 3;
  semantic s{config};
  s.script.how = embed_script::mode::hold;
  std::vector<std::shared_ptr<answers>> all;
  for (int n = 0; n < 5; ++n)
    all.push_back(s.begin_find("text number " + std::to_string(n)));
  CHECK(!all[2]->complete());
  CHECK(all[3]->complete());
  CHECK(all[4]->complete());
  CHECK(s.metric("skep_semantic_refused_total") == 2);
  s.sys.advance(5ms);
  CHECK(s.begin_find("one more")->complete()); // Those that were asked for count, too.
  s.sys.advance(200ms);
  CHECK(all[0]->complete());
  CHECK(!s.begin_find("and again")->complete());
}
