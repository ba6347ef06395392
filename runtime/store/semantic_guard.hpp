#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace skep::store {

/// How much two texts must have in common besides their vectors.
enum class guard_rule : std::uint8_t {
  /// What changes a meaning most: numbers, units, negations and opposites, names, quotations and
  /// code, question words; and the order of these and of every word that both texts have.
  signature,
  /// The same, and every other word that says something is in both texts, too (small words and
  /// plurals may differ). Also protects what the lists of English words below know nothing about.
  words,
};

/// What the guard remembers of a text. Vectors of meaning see hardly a difference between "Alice
/// pays Bob 5" and "Bob pays Alice 6"; this does. It knows English; words of other languages count
/// as words that say something. Necessary, not sufficient: see docs/semantic-cache.md.
class guard_signature {
public:
  guard_signature() = default;
  explicit guard_signature(std::string_view text);

  /// Bytes on the heap.
  std::size_t bytes() const {
    return tokens_.capacity() * sizeof(std::uint64_t);
  }
  bool operator==(const guard_signature&) const = default;

  /// One may be answered with the other's answer as far as the guard can tell. Symmetric.
  friend bool agree(const guard_signature& a, const guard_signature& b, guard_rule rule);

private:
  // A hash with the kind of token in its two lowest bits, in the order of reading.
  std::vector<std::uint64_t> tokens_;
};

} // namespace skep::store
