#include "runtime/store/semantic_text.hpp"

#include "runtime/base/utf8.hpp"

#include <algorithm>
#include <utility>

namespace skep::store {

namespace {

// Bytes that are no UTF-8 live above Unicode while a text is cut.
constexpr char32_t broken_byte = 0x110000;

char32_t decode(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1)
    return lead;
  const auto kept = 0x7Fu >> sequence.size();
  char32_t code = lead & kept;
  for (const char each : sequence.substr(1))
    code = code << 6 | (static_cast<unsigned char>(each) & 0x3Fu);
  return code;
}

void append(std::string& out, char32_t code) {
  const auto byte = [&](char32_t bits) { out += static_cast<char>(bits); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

/// One character for those that are only drawn differently.
char32_t plain(char32_t code) {
  if (code >= 0xFF01 && code <= 0xFF5E)
    return code - 0xFEE0;
  switch (code) {
    case 0x2018:
    case 0x2019:
    case 0x02BC: return U'\'';
    case 0x201C:
    case 0x201D:
    case 0x201E:
    case 0x00AB:
    case 0x00BB:
    case U'`': return U'"';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212: return U'-';
    case 0x00A0:
    case 0x202F:
    case 0x3000: return U' ';
    case 0x3002: return U'.';
    case 0x2026: return U'.';
    case 0x00AD:
    case 0x200B:
    case 0x200C:
    case 0x200D:
    case 0xFEFF: return 0; // Seen by nobody.
    default: return code;
  }
}

std::u32string characters_of(std::string_view text) {
  std::u32string all;
  all.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    const auto code = length == 0 ? broken_byte + static_cast<unsigned char>(text[0])
                                  : plain(decode(text.substr(0, length)));
    if (code != 0)
      all += code;
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return all;
}

bool in(char32_t code, char32_t from, char32_t to) {
  return code >= from && code <= to;
}

bool is_digit(char32_t code) {
  return in(code, U'0', U'9');
}

bool is_space(char32_t code) {
  return code == U' ' || in(code, 0x09, 0x0D) || code == 0x85 || in(code, 0x2000, 0x200A)
         || in(code, 0x2028, 0x2029);
}

/// Marks of punctuation beyond ASCII that mean nothing here.
bool is_punctuation(char32_t code) {
  return in(code, 0x2015, 0x2025) || in(code, 0x2027, 0x2027) || in(code, 0x3001, 0x303F)
         || code == 0xA1 || code == 0xBF || code == 0xB7;
}

/// Currency, arrows, mathematics, pictures, private use, broken bytes.
bool is_symbol(char32_t code) {
  if (code < 0x80)
    return std::u32string_view{U"$%<>=+*/^~|&!@#\\"}.find(code) != std::u32string_view::npos;
  return in(code, 0xA2, 0xA9) || in(code, 0xAC, 0xB6) || code == 0xB9 || in(code, 0xBC, 0xBE)
         || code == 0xD7 || code == 0xF7 || in(code, 0x2030, 0x2E7F) || in(code, 0xE000, 0xF8FF)
         || in(code, 0xFE00, 0xFE0F) || in(code, 0x1F000, 0x1FAFF) || code >= broken_byte;
}

bool is_letter(char32_t code) {
  if (code < 0x80)
    return in(code | 0x20u, U'a', U'z');
  return !is_space(code) && !is_punctuation(code) && !is_symbol(code);
}

/// Scripts that put no spaces between words.
bool is_ideograph(char32_t code) {
  return in(code, 0x2E80, 0xA4CF) || in(code, 0xF900, 0xFAFF) || in(code, 0x20000, 0x3FFFF)
         || in(code, 0x0E00, 0x0EFF);
}

bool is_capital(char32_t code) {
  return in(code, U'A', U'Z') || (in(code, 0xC0, 0xDE) && code != 0xD7) || in(code, 0x391, 0x3A9)
         || in(code, 0x400, 0x42F)
         || (in(code, 0x100, 0x177) && (code % 2 == 0) != in(code, 0x139, 0x148));
}

char32_t lower(char32_t code) {
  if (!is_capital(code))
    return code;
  if (code < 0x100 || in(code, 0x391, 0x3A9) || in(code, 0x410, 0x42F))
    return code + 0x20;
  return in(code, 0x400, 0x40F) ? code + 0x50 : code + 1;
}

/// Cuts one text. `at_` moves over the characters; each read_… takes one piece.
class cutter {
public:
  explicit cutter(std::string_view text) : all_(characters_of(text)) {}

  std::vector<text_piece> cut() {
    while (at_ < all_.size())
      step();
    return std::move(pieces_);
  }

private:
  char32_t see(std::size_t ahead = 0) const {
    return at_ + ahead < all_.size() ? all_[at_ + ahead] : U'\0';
  }
  char32_t before() const {
    return at_ == 0 ? U' ' : all_[at_ - 1];
  }

  void step() {
    const auto code = see();
    const bool sign = code == U'-' && is_digit(see(1)) && !is_letter(before())
                      && !is_digit(before()) && before() != U')';
    if (is_digit(code) || sign)
      read_number();
    else if (is_letter(code) || code == U'_')
      read_word();
    else if (code == U'"')
      toggle_quote();
    else if (is_symbol(code))
      read_symbol();
    else
      pass(code);
  }

  void pass(char32_t code) {
    if (code == U'.' || code == U'?' || code == U':' || code == U'\n')
      first_ = true;
    ++at_;
  }

  void toggle_quote() {
    // A mark nobody closes quotes nothing.
    quoted_ = !quoted_ && all_.find(U'"', at_ + 1) != std::u32string::npos;
    ++at_;
  }

  void add(piece_kind kind, std::string text, bool capital = false) {
    const bool as_written = kind == piece_kind::word && quoted_;
    pieces_.push_back({as_written ? piece_kind::quoted : kind, std::move(text), capital,
                       std::exchange(first_, false)});
  }

  std::string text_of(std::size_t from, std::size_t to, bool folded) const {
    std::string text;
    for (auto at = from; at < to; ++at)
      append(text, folded ? lower(all_[at]) : all_[at]);
    return text;
  }

  /// The characters that hold the parts of an identifier or a path together.
  bool joins(char32_t code) const {
    const bool joint
      = code == U'.' || code == U'/' || code == U'@' || code == U':' || code == U'\\';
    return joint && (is_letter(see(1)) || is_digit(see(1)) || see(1) == U'_');
  }

  void read_word() {
    const auto from = at_;
    if (is_ideograph(see())) {
      ++at_;
      add(piece_kind::word, text_of(from, at_, true));
      return;
    }
    bool code = false;
    bool lower_seen = false;
    for (; at_ < all_.size(); ++at_) {
      const auto c = see();
      if (is_letter(c) && !is_ideograph(c))
        code = code || (lower_seen && is_capital(c));
      else if (is_digit(c) || c == U'_' || joins(c))
        code = true;
      else if (c != U'\'' || !is_letter(see(1)))
        break;
      lower_seen = lower_seen || (is_letter(c) && !is_capital(c));
    }
    // C++, C#.
    if ((see() == U'+' && see(1) == U'+') || (see() == U'#' && !is_letter(see(1)))) {
      code = true;
      at_ += see() == U'+' ? 2 : 1;
    }
    const bool as_written = code || quoted_;
    add(code ? piece_kind::code : piece_kind::word, text_of(from, at_, !as_written),
        is_capital(all_[from]));
  }

  void read_number() {
    const auto from = at_;
    if (see() == U'-')
      ++at_;
    std::string digits = from == at_ ? "" : "-";
    int points = 0;
    for (; at_ < all_.size(); ++at_) {
      const auto c = see();
      if (is_digit(c)) {
        digits += static_cast<char>(c);
      } else if (c == U'.' && is_digit(see(1))) {
        digits += '.';
        ++points;
      } else if (!is_thousands_mark(c)) {
        break;
      }
    }
    const auto end = at_;
    std::size_t letters = 0;
    while (is_letter(see(letters)) && !is_ideograph(see(letters)))
      ++letters;
    const auto after = see(letters);
    if (points > 1 || (letters > 0 && (is_digit(after) || after == U'_'))) {
      read_rest_of_code(from);
      return;
    }
    const auto suffix = text_of(end, end + letters, true);
    const bool ordinal = suffix == "st" || suffix == "nd" || suffix == "rd" || suffix == "th";
    if (ordinal)
      at_ += letters; // Any other suffix is a word of its own: "10km", "5pm".
    add(ordinal ? piece_kind::ordinal : piece_kind::number, shortened(digits));
  }

  bool is_thousands_mark(char32_t c) const {
    return c == U',' && is_digit(see(1)) && is_digit(see(2)) && is_digit(see(3))
           && !is_digit(see(4));
  }

  void read_rest_of_code(std::size_t from) {
    while (is_letter(see()) || is_digit(see()) || see() == U'_' || see() == U'.')
      ++at_;
    add(piece_kind::code, text_of(from, at_, false));
  }

  /// Without zeros in front. Those at the end stay: version 2.1 is not version 2.10.
  static std::string shortened(const std::string& digits) {
    const std::size_t sign = digits.starts_with("-") ? 1 : 0;
    auto from = sign;
    while (from + 1 < digits.size() && digits[from] == '0' && digits[from + 1] != '.')
      ++from;
    return digits.substr(0, sign) + digits.substr(from);
  }

  void read_symbol() {
    const auto from = at_;
    const bool ascii = see() < 0x80;
    const bool money = see() == U'$' || see() == U'%';
    do
      ++at_;
    while (ascii && !money && at_ < all_.size() && see() < 0x80
           && (is_symbol(see()) || (see() == U'-' && is_symbol(before()))) && see() != U'$');
    const auto run = std::u32string_view{all_}.substr(from, at_ - from);
    const bool shout = run.find_first_not_of(U'!') == std::u32string_view::npos
                       && (at_ == all_.size() || is_space(see()) || see() == U'"');
    if (shout) {
      first_ = true;
      return;
    }
    add(piece_kind::symbol, all_[from] >= broken_byte
                              ? "byte " + std::to_string(all_[from] - broken_byte)
                              : text_of(from, at_, false));
  }

  std::u32string all_;
  std::size_t at_ = 0;
  bool quoted_ = false;
  bool first_ = true;
  std::vector<text_piece> pieces_;
};

} // namespace

std::vector<text_piece> pieces_of(std::string_view text) {
  return cutter{text}.cut();
}

std::string_view stem_of(std::string_view word, std::string& scratch) {
  if (word.size() < 4 || !word.ends_with('s') || word.ends_with("us") || word.ends_with("ss"))
    return word;
  if (word.ends_with("ies") && !word.ends_with("eies") && !word.ends_with("aies")) {
    scratch.assign(word.substr(0, word.size() - 3));
    scratch += 'y';
    return scratch;
  }
  if (word.ends_with("aes") || word.ends_with("ees") || word.ends_with("oes"))
    return word;
  return word.substr(0, word.size() - 1);
}

} // namespace skep::store
