#include "runtime/base/identity.hpp"

#include "runtime/base/assert.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstring>

namespace skep {

namespace {

// Of SHA-256.
constexpr std::size_t block_bytes = 64;
constexpr std::size_t digest_bytes = 32;

using digest = std::array<unsigned char, digest_bytes>;

struct free_context {
  void operator()(EVP_MD_CTX* context) const {
    EVP_MD_CTX_free(context);
  }
};
using owned_context = std::unique_ptr<EVP_MD_CTX, free_context>;

// All of these fail for want of memory only.
owned_context make_context() {
  owned_context made{EVP_MD_CTX_new()};
  SKEP_ASSERT(made != nullptr);
  return made;
}

owned_context copy_of(const EVP_MD_CTX* from) {
  auto made = make_context();
  const bool copied = EVP_MD_CTX_copy_ex(made.get(), from) == 1;
  SKEP_ASSERT(copied);
  return made;
}

void update(EVP_MD_CTX* context, const void* bytes, std::size_t size) {
  const bool updated = EVP_DigestUpdate(context, bytes, size) == 1;
  SKEP_ASSERT(updated);
}

digest finish(EVP_MD_CTX* context) {
  digest result{};
  const bool finished = EVP_DigestFinal_ex(context, result.data(), nullptr) == 1;
  SKEP_ASSERT(finished);
  return result;
}

owned_context begun() {
  auto made = make_context();
  const bool begins = EVP_DigestInit_ex(made.get(), EVP_sha256(), nullptr) == 1;
  SKEP_ASSERT(begins);
  return made;
}

/// The hash after the secret's own block, as HMAC (RFC 2104) has it.
owned_context after_pad(std::array<unsigned char, block_bytes> key, unsigned char pad) {
  for (auto& each : key)
    each ^= pad;
  auto made = begun();
  update(made.get(), key.data(), key.size());
  return made;
}

} // namespace

struct identity_secret::states {
  owned_context inner;
  owned_context outer;
};

identity_secret::identity_secret(std::string_view secret) {
  std::array<unsigned char, block_bytes> key{};
  if (secret.size() > key.size()) {
    auto shortened = begun();
    update(shortened.get(), secret.data(), secret.size());
    const auto hashed = finish(shortened.get());
    std::memcpy(key.data(), hashed.data(), hashed.size());
  } else if (!secret.empty()) {
    std::memcpy(key.data(), secret.data(), secret.size());
  }
  states_ = std::make_shared<const states>(states{after_pad(key, 0x36), after_pad(key, 0x5c)});
}

std::string make_identity_secret() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, identity_secret::bytes_made> bytes{};
  const bool filled = RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
  SKEP_ASSERT(filled);
  std::string text;
  for (const auto each : bytes) {
    text += digits[each >> 4];
    text += digits[each & 15];
  }
  return text;
}

identity_secret identity_secret::random() {
  return identity_secret{make_identity_secret()};
}

identity_secret identity_secret::well_known() {
  return identity_secret{"skep: no secret"};
}

std::uint64_t identity_secret::fingerprint() const {
  identity_hasher hash{*this};
  hash.add("skep: which secret is this");
  return hash.done().low | 1;
}

struct identity_hasher::context {
  owned_context hash;
};

identity_hasher::identity_hasher(const identity_secret& secret)
  : secret_(secret.states_),
    at_(std::make_unique<context>(context{copy_of(secret.states_->inner.get())})) {}

identity_hasher::identity_hasher(const identity_hasher& other)
  : secret_(other.secret_),
    at_(std::make_unique<context>(context{copy_of(other.at_->hash.get())})) {}

identity_hasher::~identity_hasher() = default;

void identity_hasher::add(std::string_view field) {
  const std::uint64_t size = field.size();
  update(at_->hash.get(), &size, sizeof(size));
  update(at_->hash.get(), field.data(), field.size());
}

void identity_hasher::add(const msg::cache_key& part) {
  const std::array halves{part.high, part.low};
  add(std::string_view{reinterpret_cast<const char*>(halves.data()), sizeof(halves)});
}

msg::cache_key identity_hasher::done() const {
  const auto inner = finish(copy_of(at_->hash.get()).get());
  const auto outer = copy_of(secret_->outer.get());
  update(outer.get(), inner.data(), inner.size());
  const auto whole = finish(outer.get());
  msg::cache_key key;
  std::memcpy(&key.high, whole.data(), sizeof(key.high));
  std::memcpy(&key.low, whole.data() + sizeof(key.high), sizeof(key.low));
  return key;
}

} // namespace skep
