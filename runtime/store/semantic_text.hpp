#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skep::store {

/// What a piece of a text is.
enum class piece_kind : std::uint8_t {
  /// Letters; scripts written without spaces give one word per character.
  word,
  /// Digits, without thousands separators and zeros in front: "1,500" is "1500".
  number,
  /// An ordinal: "3rd" is "3".
  ordinal,
  /// An identifier, a path, a version, a name like C++: kept as written.
  code,
  /// A word between quotation marks: kept as written.
  quoted,
  /// Operators, signs of currency, pictures.
  symbol,
};

/// A piece of a text, in the order of reading.
struct text_piece {
  piece_kind kind = piece_kind::word;
  /// Words are in lower case.
  std::string text;
  /// The word begins with a capital letter.
  bool capital = false;
  /// It is the first of its sentence.
  bool first = false;
};

/// Cuts a text into pieces. Knows Unicode as far as that takes no tables: lower case of Latin,
/// Greek and Cyrillic letters, full-width forms, typographic quotation marks and dashes. Bytes that
/// are no UTF-8 become symbols of their own, so that texts which differ in them differ here. Pure.
std::vector<text_piece> pieces_of(std::string_view text);

/// The singular of an English plural by its ending alone (Harman's S stemmer, JASIS 42, 1991).
std::string_view stem_of(std::string_view word, std::string& scratch);

} // namespace skep::store
