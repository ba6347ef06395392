#include "runtime/store/response_store.hpp"
#include "runtime/store/value_codec.hpp"
#include "tests/support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <random>

using namespace skep;
using namespace skep::store;

namespace {

/// An answer as a model's API sends it; another one for every number.
std::string answer(std::uint64_t n) {
  static const char* const words[]
    = {"the",   "cache",  "keeps", "an",      "answer", "until", "its",  "time", "is",   "over",
       "agent", "model",  "asks",  "another", "node",   "for",   "what", "it",   "owns", "and",
       "waits", "tokens", "cost",  "money",   "so",     "equal", "ones", "are",  "kept", "once"};
  std::mt19937_64 random{n};
  std::string text;
  for (std::size_t k = 0; k < 60 + n % 60; ++k)
    text += std::string{words[random() % std::size(words)]} + " ";
  return R"({"id":"chatcmpl-)" + std::to_string(random()) + R"(","object":"chat.completion",)"
         + R"("created":)" + std::to_string(1'700'000'000 + random() % 10'000'000)
         + R"(,"model":"small-1","choices":[{"index":0,"message":{"role":"assistant",)"
         + R"("content":")" + text + R"("},"logprobs":null,"finish_reason":"stop"}],)"
         + R"("usage":{"prompt_tokens":12,"completion_tokens":80,"total_tokens":92}})";
}

std::string trained(std::uint64_t from) {
  std::vector<std::string> samples;
  for (std::uint64_t n = 0; n < 600; ++n)
    samples.push_back(answer(from + n));
  auto made = train_dictionary(samples, 8192);
  REQUIRE(made);
  return *made;
}

dictionary_ptr made(const std::string& content) {
  auto dictionary = make_dictionary(content);
  REQUIRE(dictionary);
  return *dictionary;
}

std::string noise(std::size_t bytes) {
  std::mt19937_64 random{3};
  std::string made(bytes, ' ');
  for (auto& c : made)
    c = static_cast<char>(random());
  return made;
}

} // namespace

TEST_CASE("what a codec packs it unpacks", "[store][codec]") {
  const auto dictionary = made(trained(0));
  const bool with_dictionary = GENERATE(false, true);
  const value_codec codec{with_dictionary ? std::vector{dictionary}
                                          : std::vector<dictionary_ptr>{}};
  for (const auto& value : {std::string{}, std::string{"short"}, answer(10'000), answer(10'001),
                            std::string(100'000, 'x'), noise(5000)}) {
    const auto packed = codec.pack(value);
    CHECK(packed.size() <= value.size() + 1);
    const auto back = codec.unpack(packed, 200'000);
    REQUIRE(back);
    CHECK(*back == value);
  }
  CHECK(codec.stats().compressed == 3);
  CHECK(codec.stats().kept_raw == 3); // Too short, too short, too random.
  CHECK(codec.stats().unreadable == 0);
}

TEST_CASE("a dictionary makes small answers smaller", "[store][codec]") {
  const value_codec plain;
  const value_codec with{{made(trained(0))}};
  for (std::uint64_t n = 10'000; n < 10'100; ++n) {
    plain.compress(answer(n));
    with.compress(answer(n));
  }
  CHECK(with.stats().compressed == 100);
  CHECK(with.stats().bytes_out * 3 < plain.stats().bytes_out * 2);
}

TEST_CASE("a codec reads what older dictionaries made, and writes with the first",
          "[store][codec]") {
  const auto older = made(trained(0));
  const auto newer = made(trained(5000));
  REQUIRE(older->id() != newer->id());
  const value_codec before{{older}};
  const value_codec now{{newer, older}};
  const value_codec later{{newer}};
  const auto value = answer(10'000);
  const auto old_frame = before.compress(value);
  const auto new_frame = now.compress(value);
  REQUIRE(old_frame);
  REQUIRE(new_frame);
  CHECK(now.decompress(*old_frame, 10'000) == value);
  CHECK(later.decompress(*new_frame, 10'000) == value);
  const auto unknown = later.decompress(*old_frame, 10'000);
  REQUIRE(!unknown);
  CHECK(unknown.error().code == errc::not_found);
  CHECK(later.stats().unreadable == 1);
}

TEST_CASE("a damaged value is a failure, never another value", "[store][codec]") {
  const value_codec codec{{made(trained(0))}};
  const auto value = answer(10'000);
  const auto packed = codec.pack(value);
  REQUIRE(packed.front() == 'z');
  std::mt19937_64 random{1};
  std::uint64_t failed = 0;
  for (int n = 0; n < 5000; ++n) {
    auto bad = packed;
    for (auto k = random() % 3 + 1; k > 0; --k)
      bad[random() % bad.size()] ^= static_cast<char>(1 + random() % 255);
    if (random() % 4 == 0)
      bad.resize(random() % bad.size());
    const auto got = codec.unpack(bad, 100'000);
    failed += got ? 0 : 1;
    // A flipped form byte may say "raw"; a flip and its reverse leave it whole.
    if (got && bad.front() == 'z')
      REQUIRE(*got == value);
  }
  CHECK(failed > 4900);
  CHECK(codec.stats().unreadable == failed);
}

TEST_CASE("what a value unpacks to is bounded", "[store][codec]") {
  const value_codec codec;
  const auto bomb = codec.pack(std::string(1'000'000, 'x'));
  CHECK(bomb.size() < 200);
  const auto got = codec.unpack(bomb, 999'999);
  REQUIRE(!got);
  CHECK(got.error().code == errc::too_large);
  CHECK(codec.unpack(bomb, 1'000'000));
  CHECK(codec.unpack(codec.pack("1234567890"), 9).error().code == errc::too_large);
  CHECK(codec.unpack("", 100).error().code == errc::malformed);
  CHECK(codec.unpack("?value", 100).error().code == errc::malformed);
}

TEST_CASE("a store with a codec keeps frames and gives values", "[store][codec]") {
  const time_point start{std::chrono::hours{1}};
  store_config config;
  config.codec = std::make_shared<value_codec>(std::vector{made(trained(0))});
  response_store store{config, start};
  const auto big = answer(10'000);
  CHECK(store.put({1, 1}, big, {10s}, start));
  CHECK(store.put({2, 2}, "small", {10s}, start));
  CHECK(*store.get({1, 1}, start)->value == big);
  CHECK(*store.peek({1, 1}, start)->value == big);
  CHECK(*store.get({2, 2}, start)->value == "small");
  response_store raw{{}, start};
  raw.put({1, 1}, big, {10s}, start);
  raw.put({2, 2}, "small", {10s}, start);
  CHECK(store.stats().bytes + big.size() / 2 < raw.stats().bytes);
}

TEST_CASE("a dictionary needs samples, and says so", "[store][dictionary]") {
  CHECK(train_dictionary({}, 8192).error().code == errc::bad_request);
  const auto few = train_dictionary({"one", "two"}, 8192);
  REQUIRE(!few);
  CHECK(few.error().detail.find("too few samples: 0 of 0 bytes") != std::string::npos);
  CHECK(!train_dictionary(std::vector<std::string>(100, "short"), 8192));
  CHECK(!train_dictionary(std::vector<std::string>(100, std::string(81, 'x')), 8192));
  CHECK(train_dictionary(std::vector<std::string>(20, "a sample"), 10).error().code
        == errc::bad_request);
}

TEST_CASE("a dictionary is loaded from a file, and nothing else is", "[store][dictionary]") {
  const auto path = (std::filesystem::temp_directory_path()
                     / ("skep-dictionary-" + std::to_string(std::random_device{}())))
                      .string();
  const auto write = [&](const std::string& content) {
    std::ofstream{path, std::ios::binary} << content;
  };
  CHECK(load_dictionary(path).error().code == errc::not_found);
  const auto content = trained(0);
  write(content);
  const auto loaded = load_dictionary(path);
  REQUIRE(loaded);
  CHECK((*loaded)->id() == made(content)->id());
  CHECK((*loaded)->bytes() > content.size());
  for (const auto& wrong :
       {std::string{}, std::string{"no dictionary"}, content.substr(0, 40), "x" + content}) {
    write(wrong);
    const auto refused = load_dictionary(path);
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::malformed);
    CHECK(refused.error().detail.find(path) != std::string::npos);
  }
  std::filesystem::remove(path);
}
