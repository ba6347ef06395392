#include "runtime/base/base64.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <string>
#include <utility>

using namespace skep;

TEST_CASE("base64 reads what it writes", "[base]") {
  // The examples of RFC 4648.
  const std::pair<std::string, std::string> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : examples) {
    CHECK(to_base64(plain) == coded);
    CHECK(from_base64(coded) == plain);
  }
  flow::rng random{5};
  for (int i = 0; i < 500; ++i) {
    std::string bytes(random.below(40), '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random.below(256));
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
  for (const auto* wrong : {"Zg", "Zg=", "Z===", "====", "Zm9v!", "Zm9v Zm9", "=Zg=", "Zg==Zg==",
                            " Zm9", "    Zm9v", "Zm9v\n", "Zm9vZm9\n", "Zm9v    "})
    CHECK_FALSE(from_base64(wrong));
}
