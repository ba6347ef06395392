#include "actors/embedder/embed_batch.hpp"
#include "tests/support/catch.hpp"

#include <limits>

using namespace skep;
using namespace skep::actors;

namespace {

using texts = std::vector<std::string>;

/// The answer of a provider whose vectors are the texts themselves.
msg::embed_reply echo(const embed_batch& batch, std::uint64_t tokens) {
  msg::embed_reply made{"m", {}, tokens};
  for (const auto& each : batch.texts)
    made.embeddings.push_back({each});
  return made;
}

} // namespace

TEST_CASE("equal texts of a batch are asked once and answered each", "[actors][embedder]") {
  const texts one{"a", "b", "a"};
  const texts two{"b", "c"};
  const std::vector<const texts*> callers{&one, &two};
  const auto batch = coalesce(callers);
  CHECK(batch.texts == texts{"a", "b", "c"});
  CHECK(batch.spared == 2);
  CHECK(batch.bytes == 3);
  const auto shares = share_out(batch, echo(batch, 10));
  REQUIRE(shares.size() == 2);
  CHECK(shares[0].embeddings == std::vector<msg::embedding>{{"a"}, {"b"}, {"a"}});
  CHECK(shares[1].embeddings == std::vector<msg::embedding>{{"b"}, {"c"}});
  CHECK(shares[0].model == "m");
  CHECK(shares[0].prompt_tokens == 6);
  CHECK(shares[1].prompt_tokens == 4);
}

TEST_CASE("a batch can be asked as its texts came", "[actors][embedder]") {
  const texts one{"a", "a"};
  const std::vector<const texts*> callers{&one};
  const auto batch = coalesce(callers, false);
  CHECK(batch.texts == one);
  CHECK(batch.spared == 0);
  CHECK(share_out(batch, echo(batch, 7))[0].prompt_tokens == 7);
}

TEST_CASE("shares of the tokens add up, whatever the provider counted", "[actors][embedder]") {
  const texts none{"", ""};
  const texts little{"a"};
  const texts much{std::string(100'000, 'x')};
  const std::vector<const texts*> callers{&none, &little, &much, &little};
  const auto batch = coalesce(callers);
  const auto tokens = GENERATE(std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7},
                               std::uint64_t{30'001}, std::numeric_limits<std::uint64_t>::max());
  const auto shares = share_out(batch, echo(batch, tokens));
  std::uint64_t sum = 0;
  for (const auto& each : shares)
    sum += each.prompt_tokens;
  CHECK(sum == tokens);
  CHECK(shares[2].prompt_tokens >= shares[0].prompt_tokens);
}
