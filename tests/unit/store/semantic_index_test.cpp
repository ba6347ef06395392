#include "runtime/store/lexical_embedder.hpp"
#include "runtime/store/semantic_index.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

using namespace skep;
using namespace skep::store;
using namespace std::chrono_literals;

namespace {

const time_point start{std::chrono::hours{1}};
const key128 here{1, 1};

std::vector<float> random_vector(std::mt19937& random, std::size_t dimensions = 256) {
  std::normal_distribution<float> normal;
  std::vector<float> made(dimensions);
  for (auto& each : made)
    each = normal(random);
  return made;
}

double exact_cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const auto product = [](const auto& x, const auto& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  };
  return product(a, b) / std::sqrt(product(a, a) * product(b, b));
}

byte_vector vector_of(std::string_view text) {
  return to_bytes(lexical_embedder::embed(text));
}

bool learn(semantic_index& index, std::uint64_t key, std::string_view text, time_point now = start,
           key128 partition = here) {
  return index.learn(partition, {0, key}, vector_of(text), guard_signature{text}, now);
}

std::optional<semantic_index::found> find(semantic_index& index, std::string_view text,
                                          time_point now = start, key128 partition = here,
                                          std::uint32_t least = 500) {
  return index.find(partition, vector_of(text), guard_signature{text}, guard_rule::words, least,
                    now);
}

std::uint64_t key_found(semantic_index& index, std::string_view text, time_point now = start) {
  const auto found = find(index, text, now);
  return found ? found->key.low : 0;
}

} // namespace

TEST_CASE("vectors of bytes keep the cosine of the floats", "[store][semantic][vector]") {
  std::mt19937 random{3};
  for (const std::size_t dimensions : {64u, 256u, 384u, 1536u}) {
    double worst = 0;
    for (int round = 0; round < 200; ++round) {
      const auto a = random_vector(random, dimensions);
      auto b = random_vector(random, dimensions);
      // From unlike to nearly equal.
      const auto mix = static_cast<float>(round) / 200;
      for (std::size_t i = 0; i < dimensions; ++i)
        b[i] = mix * a[i] + (1 - mix) * b[i];
      worst
        = std::max(worst, std::abs(exact_cosine(a, b) - double{cosine(to_bytes(a), to_bytes(b))}));
    }
    CAPTURE(dimensions);
    CHECK(worst < 0.006);
  }
}

TEST_CASE("a scan of bytes ranks as a scan of floats does", "[store][semantic][vector]") {
  std::mt19937 random{5};
  std::vector<std::vector<float>> all;
  for (int n = 0; n < 500; ++n)
    all.push_back(random_vector(random));
  int same = 0;
  for (int round = 0; round < 50; ++round) {
    auto wanted = all[static_cast<std::size_t>(random() % all.size())];
    for (auto& each : wanted)
      each += 0.8f * std::normal_distribution<float>{}(random);
    const auto by_floats = std::max_element(all.begin(), all.end(), [&](auto& a, auto& b) {
      return exact_cosine(a, wanted) < exact_cosine(b, wanted);
    });
    const auto bytes = to_bytes(wanted);
    const auto by_bytes = std::max_element(all.begin(), all.end(), [&](auto& a, auto& b) {
      return cosine(to_bytes(a), bytes) < cosine(to_bytes(b), bytes);
    });
    same += by_floats == by_bytes ? 1 : 0;
  }
  CHECK(same == 50);
}

TEST_CASE("what has no direction is no vector", "[store][semantic][vector]") {
  CHECK(to_bytes({}).empty());
  CHECK(to_bytes(std::vector<float>(8)).empty());
  CHECK(to_bytes(std::vector<float>{1, std::nanf("")}).empty());
  CHECK(to_bytes(std::vector<float>{1, INFINITY}).empty());
  CHECK(cosine(to_bytes(std::vector<float>(8, 1)), to_bytes(std::vector<float>(200, 1))) == 0);
  const auto one = to_bytes(std::vector<float>(8, 1));
  CHECK(cosine(one, one) == Approx(1));
}

TEST_CASE("lexical vectors have length 1 and put like texts close", "[store][semantic][lexical]") {
  const auto like = [](std::string_view a, std::string_view b) {
    const auto x = lexical_embedder::embed(a);
    const auto y = lexical_embedder::embed(b);
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0f);
  };
  CHECK(like("reset my password", "reset my password") == Approx(1).margin(1e-5));
  CHECK(like("How do I reset my password?", "how can I reset the password") > 0.9f);
  CHECK(like("How do I reset my password?", "how to reset passwords") > 0.8f);
  CHECK(like("How do I reset my password?", "What is the boiling point of lead?") < 0.3f);
  CHECK(like("reset password", "password reset") < 0.99f);
  const auto nothing = lexical_embedder::embed(" ?!");
  CHECK(std::all_of(nothing.begin(), nothing.end(), [](float each) { return each == 0; }));
}

TEST_CASE("the most similar text the guard agrees with is found", "[store][semantic][index]") {
  semantic_index index{{}};
  CHECK(!find(index, "anything"));
  REQUIRE(learn(index, 1, "How do I reset the password of user 42?"));
  REQUIRE(learn(index, 2, "How do I reset the password of user 43?"));
  REQUIRE(learn(index, 3, "How do I bake bread?"));
  CHECK(key_found(index, "Can you tell me how to reset the password of user 42?") == 1);
  CHECK(key_found(index, "Can you tell me how to reset the password of user 43?") == 2);
  CHECK(key_found(index, "How do I reset the password of user 44?") == 0);
  CHECK(index.stats().guarded > 0);
  const auto exact = find(index, "How do I bake bread?");
  REQUIRE(exact);
  CHECK(exact->similarity == 1000);
  CHECK(!find(index, "How do I bake bread?", start, here, 1001));
}

TEST_CASE("texts never cross partitions", "[store][semantic][index]") {
  semantic_index index{{}};
  REQUIRE(learn(index, 1, "How do I bake bread?"));
  CHECK(!find(index, "How do I bake bread?", start, {1, 2}));
  CHECK(!find(index, "How do I bake bread?", start, {2, 1}));
  CHECK(index.stats().partitions == 1);
}

TEST_CASE("an index is bounded, and the least recently used make room",
          "[store][semantic][index]") {
  index_config config;
  config.partition_entries_max = 3;
  config.entries_max = 5;
  semantic_index index{config};
  const std::array texts{"bake bread", "repair bicycles", "grow tomatoes", "paint walls"};
  for (std::uint64_t n = 0; n < 3; ++n)
    REQUIRE(learn(index, n + 1, texts[n]));
  CHECK(key_found(index, texts[0]) == 1); // Used: the second is the oldest now.
  REQUIRE(learn(index, 4, texts[3]));
  CHECK(index.stats().entries == 3);
  CHECK(index.stats().evicted == 1);
  CHECK(key_found(index, texts[1]) == 0);
  CHECK(key_found(index, texts[0]) == 1);
  CHECK(key_found(index, texts[3]) == 4);
  // Another partition fills the whole index up.
  for (std::uint64_t n = 0; n < 3; ++n)
    REQUIRE(learn(index, 10 + n, texts[n], start, {2, 2}));
  CHECK(index.stats().entries == 5);
  CHECK(key_found(index, texts[2]) == 0);
}

TEST_CASE("an index is bounded in bytes", "[store][semantic][index]") {
  index_config config;
  config.bytes_max = 20'000;
  semantic_index index{config};
  for (std::uint64_t n = 1; n < 200; ++n) {
    REQUIRE(learn(index, n, "text number " + std::to_string(n), start, {n % 7, 0}));
    REQUIRE(index.stats().bytes <= 20'000);
  }
  CHECK(index.stats().entries > 10);
  CHECK(index.stats().evicted == 199 - index.stats().entries);
  // Everything forgotten leaves nothing behind.
  index.expire(start + 1000h);
  CHECK(index.stats().entries == 0);
  CHECK(index.stats().partitions == 0);
  CHECK(index.stats().bytes == 0);
}

TEST_CASE("random histories of an index keep its rows and books in order",
          "[store][semantic][index]") {
  std::mt19937 random{11};
  index_config config;
  config.partition_entries_max = 8;
  config.entries_max = 20;
  config.ttl = 50s;
  semantic_index index{config};
  auto now = start;
  const auto text_of = [](std::uint64_t n) { return "topic number " + std::to_string(n); };
  for (int step = 0; step < 4000; ++step) {
    now += 1s;
    const std::uint64_t n = 1 + random() % 40;
    const key128 partition{n % 3, 0};
    switch (random() % 8) {
      case 0: index.expire(now); break;
      case 1: index.revoke({0, 1 + random() % 40 + 1000}); break;
      case 2:
      case 3:
      case 4: learn(index, n, text_of(n), now, partition); break;
      default:
        if (const auto found = find(index, text_of(n), now, partition)) {
          // The guard leaves only the text itself.
          REQUIRE(found->key == key128{0, n});
          REQUIRE(found->similarity == 1000);
        }
    }
    const auto& s = index.stats();
    REQUIRE(s.entries <= 20);
    REQUIRE(s.stored == s.entries + s.evicted + s.expired);
  }
  CHECK(index.stats().expired > 0);
  CHECK(index.stats().evicted > 0);
}

TEST_CASE("a text is forgotten after its time, and learning it again starts the time anew",
          "[store][semantic][index]") {
  index_config config;
  config.ttl = 10s;
  semantic_index index{config};
  REQUIRE(learn(index, 1, "bake bread"));
  CHECK(key_found(index, "bake bread", start + 9s) == 1);
  CHECK(key_found(index, "bake bread", start + 10s) == 0);
  REQUIRE(learn(index, 1, "bake bread", start + 9s));
  CHECK(key_found(index, "bake bread", start + 18s) == 1);
  CHECK(index.stats().entries == 1);
}

TEST_CASE("a revoked key is never found or learnt again", "[store][semantic][index]") {
  index_config config;
  config.revoked_max = 2;
  semantic_index index{config};
  REQUIRE(learn(index, 1, "bake bread"));
  index.revoke({0, 1});
  index.revoke({0, 1});
  CHECK(key_found(index, "bake bread") == 0);
  CHECK(!learn(index, 1, "bake bread"));
  CHECK(index.stats().refused == 1);
  CHECK(index.record_of({0, 1}) == nullptr);
  // The list is bounded: the oldest goes first.
  index.revoke({0, 2});
  index.revoke({0, 3});
  CHECK(!index.revoked({0, 1}));
  CHECK(index.revoked({0, 2}));
  CHECK(index.revoked({0, 3}));
}

TEST_CASE("vectors of another size are refused", "[store][semantic][index]") {
  semantic_index index{{}};
  REQUIRE(learn(index, 1, "bake bread"));
  const auto other = to_bytes(std::vector<float>(512, 1));
  CHECK(!index.learn(here, {0, 2}, other, guard_signature{"bake bread"}, start));
  CHECK(!index.learn(here, {0, 3}, {}, guard_signature{"bake bread"}, start));
  CHECK(!index.find(here, other, guard_signature{"bake bread"}, guard_rule::words, 0, start));
  CHECK(index.stats().refused == 2);
}
