#include "apis/chat/context_cache.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;

namespace {

const time_point start{1h};

/// An object whose text has about this many bytes.
std::string large(std::size_t bytes, char filling = 'x') {
  return R"({"tools":[{"text":")" + std::string(bytes, filling) + R"("}]})";
}

} // namespace

TEST_CASE("own members come first as they are, defaults fill what they leave out",
          "[actors][context]") {
  context_cache cache;
  const auto& made = cache.assemble(
    {R"({"temperature":0.5,"top_p":1})", R"({"tools":[{"z":1, "a":2}],"temperature":0})"}, start);
  CHECK(made.parameters == R"({"tools":[{"z":1, "a":2}],"temperature":0,"top_p":1})");
  CHECK(cache.assemble({"", R"({"n":1})"}, start).parameters == R"({"n":1})");
  CHECK(cache.assemble({R"({"n":1})", ""}, start).parameters == R"({"n":1})");
  CHECK(cache.assemble({"", ""}, start).parameters.empty());
  // Two names of one bound.
  CHECK(cache.assemble({R"({"max_tokens":9})", R"({"max_completion_tokens":1})"}, start).parameters
        == R"({"max_completion_tokens":1})");
  CHECK(cache.assemble({"", "nonsense"}, start).identity == msg::cache_key{});
}

TEST_CASE("the identity is that of what may change the answer", "[actors][context]") {
  context_cache cache;
  const auto of = [&](std::string_view defaults, std::string_view own) {
    return cache.assemble({defaults, own}, start).identity;
  };
  const auto base = of("", R"({"temperature":1,"tools":[{"a":1,"b":2}]})");
  CHECK(base == of("", R"({ "tools" : [ {"b":2, "a":1} ], "temperature":1 })"));
  CHECK(base == of(R"({"temperature":1})", R"({"tools":[{"a":1,"b":2}]})"));
  CHECK(base
        == of("", R"({"temperature":1,"user":"u","metadata":{"a":"b"},"prompt_cache_key":"k",)"
                  R"("prompt_cache_retention":"24h","tools":[{"a":1,"b":2}]})"));
  CHECK_FALSE(base == of("", R"({"temperature":1,"tools":[{"a":1,"b":3}]})"));
  CHECK_FALSE(base == of("", R"({"temperature":0,"tools":[{"a":1,"b":2}]})"));
  CHECK_FALSE(base == of("", R"({"temperature":1})"));
  // Nobody can tell whether it is the provider's or the tool's own.
  CHECK_FALSE(
    base
    == of("", R"({"temperature":1,"tools":[{"a":1,"b":2,"cache_control":{"type":"ephemeral"}}]})"));
  CHECK(of("", "") == of("", R"({"user":"u"})"));
}

TEST_CASE("the identity depends on the secret, not on what is remembered", "[actors][context]") {
  context_cache_config other;
  other.entries_max = 0;
  context_cache one;
  context_cache two{other};
  const auto text = large(5000);
  for (int round = 0; round < 2; ++round)
    CHECK(one.assemble({"{\"n\":1}", text}, start).identity
          == two.assemble({"{\"n\":1}", text}, start).identity);
  CHECK(two.entries() == 0);
  CHECK(two.stats().misses == 2);
  CHECK(one.stats().hits == 1);
  other.secret = identity_secret{"a secret of this node"};
  context_cache three{other};
  CHECK_FALSE(three.assemble({"{\"n\":1}", text}, start).identity
              == one.assemble({"{\"n\":1}", text}, start).identity);
}

TEST_CASE("a request that differs in a small member finds its large ones known",
          "[actors][context]") {
  context_cache cache;
  const auto with_user = [](int user) {
    auto text = large(5000);
    text.back() = ',';
    return text + R"("user":")" + std::to_string(user) + "\"}";
  };
  const auto first = cache.assemble({"", with_user(1)}, start).identity;
  CHECK(cache.entries() == 2); // The context and its tools.
  CHECK(cache.assemble({"", with_user(2)}, start).identity == first);
  CHECK(cache.entries() == 3); // Another context, the same tools.
}

TEST_CASE("the context cache keeps its bounds and forgets the least recently used",
          "[actors][context]") {
  context_cache_config bounds;
  bounds.entries_max = 3;
  bounds.value_min = 1u << 20;
  context_cache cache{bounds};
  const auto ask = [&](int n) {
    const auto before = cache.stats().hits;
    cache.assemble({"", "{\"n\":" + std::to_string(n) + "}"}, start);
    return cache.stats().hits > before;
  };
  for (int n = 0; n < 3; ++n)
    CHECK_FALSE(ask(n));
  CHECK(ask(0));
  CHECK_FALSE(ask(3)); // Pushes 1 out.
  CHECK(ask(0));
  CHECK_FALSE(ask(1));
  CHECK(cache.entries() == 3);
  CHECK(cache.stats().evicted == 2);
}

TEST_CASE("the context cache never holds more bytes than it may", "[actors][context]") {
  context_cache_config bounds;
  bounds.bytes_max = 20'000;
  context_cache cache{bounds};
  flow::rng random{7};
  for (int n = 0; n < 500; ++n) {
    const auto text = large(random.below(8000), static_cast<char>('a' + random.below(26)));
    CHECK(cache.assemble({"", text}, start).parameters == text);
    REQUIRE(cache.bytes() <= bounds.bytes_max);
  }
  CHECK(cache.assemble({"", large(50'000)}, start).parameters == large(50'000));
  CHECK(cache.bytes() <= bounds.bytes_max);
}

TEST_CASE("what was not used for a while is dropped", "[actors][context]") {
  context_cache cache;
  cache.assemble({"", R"({"n":1})"}, start);
  cache.assemble({"", R"({"n":2})"}, start + 500s);
  cache.assemble({"", R"({"n":3})"}, start + 601s);
  CHECK(cache.stats().expired == 1);
  CHECK(cache.entries() == 2);
  cache.assemble({"", R"({"n":2})"}, start + 1099s);
  CHECK(cache.stats().hits == 1);
}
