#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// The English words the guard of the semantic cache knows. All functions take lower case, are pure
// and thread-safe.
namespace skep::store {

/// What a word that must not differ between two texts stands for; empty for others. Words with the
/// same marker may replace each other, unless it begins with a sign ("+speed", "-speed": one side
/// of a pair of opposites): then only forms of one word may.
std::string_view marker_of(std::string_view word);

/// A word made negative by its first syllable ("unsafe", "disallow"); a list where the syllable
/// often means nothing ("discuss").
bool is_negated_by_prefix(std::string_view word);

/// A small word that says nothing by itself ("the", "please", "of"). Some of them are markers, too.
bool is_stop_word(std::string_view word);

/// A verb that asks to be told something ("tell", "explain").
bool is_request(std::string_view word);

/// What a number word adds to a number being read.
struct number_word {
  std::uint64_t value = 0;
  /// Multiplies what came before it: hundred, thousand.
  bool scale = false;
  bool ordinal = false;
};
std::optional<number_word> number_word_of(std::string_view word);

} // namespace skep::store
