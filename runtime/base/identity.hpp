#pragma once

#include "messages/cache.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace skep {

/// The secret under which requests are told apart. Who knows it could write a text whose identity
/// is another's, so nobody but the nodes that share answers has it. Cheap to copy, never changes.
/// Thread-safe.
class identity_secret {
public:
  /// Below this a secret could be guessed.
  static constexpr std::size_t bytes_min = 16;
  /// Of one made here.
  static constexpr std::size_t bytes_made = 32;

  explicit identity_secret(std::string_view secret);
  /// One that nobody else has.
  static identity_secret random();
  /// The same for everybody: for tests and tools, which keep nothing apart.
  static identity_secret well_known();

  /// Equal where secrets are equal, and of no use to learn one from; never 0.
  std::uint64_t fingerprint() const;

  /// The same one, not merely an equal one: what was made under it is known to go on.
  friend bool operator==(const identity_secret& a, const identity_secret& b) {
    return a.states_ == b.states_;
  }

private:
  friend class identity_hasher;
  struct states;

  std::shared_ptr<const states> states_;
};

/// Text for a secret of the system's own random bytes: hexadecimal digits.
std::string make_identity_secret();

/// The identity of what is added: HMAC-SHA-256 under the secret, the first 128 bits. Every field
/// counts with its length, so that no two different lists of fields look alike. A copy goes on by
/// itself: what requests have in common is hashed once.
class identity_hasher {
public:
  explicit identity_hasher(const identity_secret& secret);
  identity_hasher(const identity_hasher& other);
  identity_hasher& operator=(const identity_hasher&) = delete;
  ~identity_hasher();

  void add(std::string_view field);
  void add(const msg::cache_key& part);
  msg::cache_key done() const;

private:
  struct context;

  std::shared_ptr<const identity_secret::states> secret_;
  std::unique_ptr<context> at_;
};

} // namespace skep
