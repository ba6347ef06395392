#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace skep::store {

/// Turns a text into a vector without any model: hashed features with random signs (Weinberger et
/// al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009) of words, pairs of
/// neighbouring words and character 3- and 4-grams, weighted 1 + ln(count), small words weighing
/// little. It sees spelling, not meaning: paraphrases in other words stay apart. Deterministic,
/// microseconds, pure; any thread.
class lexical_embedder {
public:
  static constexpr std::size_t dimensions = 256;
  using vector = std::array<float, dimensions>;

  /// Of length 1; all zeros for a text without a word.
  static vector embed(std::string_view text);
};

} // namespace skep::store
