#include "runtime/base/identity.hpp"
#include "tests/support/catch.hpp"

#include <string>
#include <vector>

using namespace skep;

namespace {

const identity_secret some{"0123456789abcdef"};

msg::cache_key hashed(const std::vector<std::string>& fields,
                      const identity_secret& secret = some) {
  identity_hasher hash{secret};
  for (const auto& field : fields)
    hash.add(field);
  return hash.done();
}

} // namespace

TEST_CASE("the identity is HMAC-SHA-256 of fields and their lengths", "[base][identity]") {
  // Reckoned with Python's hmac: each field behind its length as eight bytes, least first.
  CHECK(hashed({"a", "", "bc"}) == msg::cache_key{0xac48b2394612b9d6, 0x3777822e25c6581c});
  CHECK(hashed({"x"}, identity_secret{std::string(100, 's')})
        == msg::cache_key{0x0d10f1e4d1cd8c06, 0x4ae9ccf7a0d83815});
}

TEST_CASE("fields are told apart, not only their bytes", "[base][identity]") {
  const auto key = hashed({"ab", "c"});
  CHECK(key == hashed({"ab", "c"}));
  for (const auto& other : std::vector<std::vector<std::string>>{
         {"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"", "ab", "c"}, {"c", "ab"}, {"ab"}})
    CHECK_FALSE(hashed(other) == key);
}

TEST_CASE("nodes with one secret agree, nodes with another do not", "[base][identity]") {
  const identity_secret same{"0123456789abcdef"};
  const identity_secret other{"0123456789abcdeg"};
  CHECK(hashed({"a"}, same) == hashed({"a"}));
  CHECK(same.fingerprint() == some.fingerprint());
  CHECK_FALSE(hashed({"a"}, other) == hashed({"a"}));
  CHECK(other.fingerprint() != some.fingerprint());
  CHECK(identity_secret::random().fingerprint() != identity_secret::random().fingerprint());
  CHECK(make_identity_secret() != make_identity_secret());
  CHECK(make_identity_secret().size() == 2 * identity_secret::bytes_made);
}

TEST_CASE("a copy of a hasher goes on by itself", "[base][identity]") {
  identity_hasher one{some};
  one.add("common");
  auto two = one;
  one.add("a");
  two.add("b");
  CHECK(one.done() == hashed({"common", "a"}));
  CHECK(two.done() == hashed({"common", "b"}));
  CHECK(one.done() == one.done());
  one.add(msg::cache_key{1, 2});
  CHECK_FALSE(one.done() == hashed({"common", "a"}));
}
