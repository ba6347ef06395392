#include "runtime/store/semantic_guard.hpp"

#include "runtime/base/fnv.hpp"
#include "runtime/store/semantic_lexicon.hpp"
#include "runtime/store/semantic_text.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

namespace skep::store {

namespace {

enum class token_kind : std::uint64_t { word = 0, name = 1, marker = 2 };
constexpr std::uint64_t kind_bits = 3;

token_kind kind_of(std::uint64_t token) {
  return static_cast<token_kind>(token & kind_bits);
}

// A name and a word that read the same are the same word.
std::uint64_t meaning_of(std::uint64_t token) {
  const bool marker = kind_of(token) == token_kind::marker;
  return marker ? token : token & ~kind_bits;
}

/// Reads pieces and writes tokens.
class signer {
public:
  explicit signer(std::string_view text) : pieces_(pieces_of(text)) {}

  std::vector<std::uint64_t> sign() {
    for (; at_ < pieces_.size(); ++at_)
      step();
    tokens_.shrink_to_fit();
    return std::move(tokens_);
  }

private:
  const text_piece* see(std::size_t ahead) const {
    return at_ + ahead < pieces_.size() ? &pieces_[at_ + ahead] : nullptr;
  }
  bool is_word(std::size_t ahead, std::string_view text) const {
    const auto* piece = see(ahead);
    return piece != nullptr && piece->kind == piece_kind::word && piece->text == text;
  }

  void add(token_kind kind, std::string_view text, std::string_view space) {
    const auto hash = fnv1a(text, fnv1a(space));
    tokens_.push_back((hash & ~kind_bits) | static_cast<std::uint64_t>(kind));
  }
  void mark(std::string_view text, std::string_view space = "marker:") {
    add(token_kind::marker, text, space);
  }

  /// Opposites are told apart by how they begin, too: "raise" and "raised" are one, "raise" and
  /// "gain" are not.
  void mark_word(std::string_view marker, std::string_view text) {
    constexpr std::size_t beginning = 4;
    const bool opposite = marker[0] == '+' || marker[0] == '-';
    mark(opposite ? std::string{marker}.append(text.substr(0, beginning)) : std::string{marker});
  }

  void step() {
    const auto& piece = pieces_[at_];
    switch (piece.kind) {
      case piece_kind::number: return mark(piece.text, "number:");
      case piece_kind::ordinal: return mark(piece.text, "ordinal:");
      // Case counts where somebody quotes or codes.
      case piece_kind::code:
      case piece_kind::quoted: return add(token_kind::name, piece.text, "exact:");
      case piece_kind::symbol: return symbol(piece.text);
      case piece_kind::word: return word(piece);
    }
  }

  /// "$5" reads "5 $".
  void symbol(const std::string& text) {
    const auto unit = marker_of(text);
    if (unit.empty())
      return mark(text, "symbol:");
    if (const auto* next = see(1); next != nullptr && next->kind == piece_kind::number) {
      mark(next->text, "number:");
      ++at_;
    }
    mark(unit);
  }

  void word(const text_piece& piece) {
    const auto text = without_endings(piece.text);
    if (text.empty() || read_number(piece) || is_polite(text))
      return;
    std::string scratch;
    const auto stem = stem_of(text, scratch);
    auto marker = marker_of(text);
    if (marker.empty())
      marker = marker_of(stem);
    if (!marker.empty())
      return mark_word(marker, text);
    if (is_negated_by_prefix(text))
      return mark(text, "negated:");
    if (is_stop_word(text))
      return;
    const bool name = piece.capital && !piece.first;
    add(name ? token_kind::name : token_kind::word, stem, "word:");
  }

  /// Marks what an ending negates ("don't") or moves to the future ("it'll"), and takes it off.
  std::string_view without_endings(std::string_view text) {
    if (text.ends_with("n't")) {
      mark("not");
      text.remove_suffix(3);
      // "can't", "won't": what is left of the verb says nothing any more.
      return text == "ca" || text == "wo" || is_stop_word(text) ? std::string_view{} : text;
    }
    const auto apostrophe = text.rfind('\'');
    if (apostrophe == std::string_view::npos)
      return text;
    const auto ending = text.substr(apostrophe + 1);
    if (ending == "ll")
      mark("will");
    const bool known = ending == "s" || ending == "ll" || ending == "re" || ending == "ve"
                       || ending == "d" || ending == "m" || ending.empty();
    return known ? text.substr(0, apostrophe) : text;
  }

  /// "Can you", "tell me", "explain how", "I would like", "how can I": manners, which ask nothing.
  bool is_polite(std::string_view text) const {
    const auto* next = see(1);
    if (is_request(text) && next != nullptr)
      return next->text == "me" || next->text == "us" || next->text == "what" || asks(next->text);
    const bool modal = text == "can" || text == "could" || text == "would" || text == "will";
    const bool after_how
      = at_ > 0 && pieces_[at_ - 1].text == "how" && (modal || text == "should" || text == "do");
    return (modal && (is_word(1, "you") || is_word(1, "like"))) || after_how;
  }

  static bool asks(std::string_view text) {
    constexpr std::array words{"how", "who", "when", "where", "why"};
    return std::find(words.begin(), words.end(), text) != words.end();
  }

  /// A number in words, as far as it goes: "two hundred and five" is 205.
  bool read_number(const text_piece& from) {
    auto part = number_word_of(from.text);
    if (!part)
      return false;
    std::uint64_t total = 0;
    std::uint64_t current = 0;
    bool ordinal = false;
    std::size_t used = 0;
    while (part) {
      if (!part->scale)
        current += part->value;
      else
        current = std::max<std::uint64_t>(current, 1) * part->value;
      if (part->scale && part->value >= 1000) {
        total += current;
        current = 0;
      }
      ordinal = part->ordinal;
      ++used;
      const std::size_t skip = is_word(used, "and") && part->scale ? 1 : 0;
      const auto* next = see(used + skip);
      part = next != nullptr && next->kind == piece_kind::word && !ordinal
               ? number_word_of(next->text)
               : std::nullopt;
      if (part)
        used += skip;
    }
    at_ += used - 1;
    mark(std::to_string(total + current), ordinal ? "ordinal:" : "number:");
    return true;
  }

  std::vector<text_piece> pieces_;
  std::size_t at_ = 0;
  std::vector<std::uint64_t> tokens_;
};

using tokens = std::vector<std::uint64_t>;

/// Words and names, each once, sorted.
tokens words_of(const tokens& all) {
  tokens words;
  for (const auto each : all)
    if (kind_of(each) != token_kind::marker)
      words.push_back(meaning_of(each));
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

bool names_are_shared(const tokens& all, const tokens& shared) {
  return std::all_of(all.begin(), all.end(), [&](std::uint64_t each) {
    return kind_of(each) != token_kind::name
           || std::binary_search(shared.begin(), shared.end(), meaning_of(each));
  });
}

/// What both texts have, in this text's order: markers, and the words that are shared.
tokens skeleton_of(const tokens& all, const tokens& shared) {
  tokens left;
  for (const auto each : all)
    if (kind_of(each) == token_kind::marker
        || std::binary_search(shared.begin(), shared.end(), meaning_of(each)))
      left.push_back(meaning_of(each));
  return left;
}

} // namespace

guard_signature::guard_signature(std::string_view text) : tokens_(signer{text}.sign()) {}

bool agree(const guard_signature& a, const guard_signature& b, guard_rule rule) {
  const auto of_a = words_of(a.tokens_);
  const auto of_b = words_of(b.tokens_);
  if (rule == guard_rule::words && of_a != of_b)
    return false;
  tokens shared;
  std::set_intersection(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                        std::back_inserter(shared));
  return names_are_shared(a.tokens_, shared) && names_are_shared(b.tokens_, shared)
         && skeleton_of(a.tokens_, shared) == skeleton_of(b.tokens_, shared);
}

} // namespace skep::store
