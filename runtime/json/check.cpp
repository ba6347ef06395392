#include "runtime/json/check.hpp"

#include "runtime/json/scan.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <string>

namespace skep::json {

namespace {

std::atomic<std::uint64_t> depth_refusals{0};
std::atomic<std::uint64_t> elements_refusals{0};

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Goes through a text once. A step that returns false has said why in `why_`.
class checker {
public:
  explicit checker(std::string_view text) : text_(text), at_(mark_length(text)) {}

  bool run();

  failure why() {
    return std::move(why_);
  }

private:
  /// The byte at hand; NUL, which no JSON has, behind the end.
  char next() const {
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    const bool there = at_ < text_.size() && text_[at_] == wanted;
    at_ += there ? 1 : 0;
    return there;
  }
  void skip_space() {
    at_ = space_end(text_, at_);
  }
  bool in_object() const {
    return open_[depth_ - 1] == '{';
  }

  bool fault(const char* what);
  bool element();
  bool open();
  bool close();
  bool value();
  bool name();
  bool string();
  bool word(std::string_view expected);
  bool digits();
  bool number();

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
  std::size_t depth_ = 0;
  std::array<char, depth_max> open_{}; // The brackets around `at_`.
  failure why_;
};

bool checker::fault(const char* what) {
  const auto before = text_.substr(0, at_);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto column = at_ - (before.find_last_of('\n') + 1) + 1;
  why_ = failure{errc::bad_request, "parse error at line " + std::to_string(line) + ", column "
                                      + std::to_string(column) + ": " + what};
  return false;
}

bool checker::element() {
  if (++elements_ <= elements_max)
    return true;
  elements_refusals.fetch_add(1, std::memory_order_relaxed);
  why_
    = failure{errc::too_large, "it has more than " + std::to_string(elements_max)
                                 + " elements: objects, lists, names, texts, true, false and null"};
  return false;
}

bool checker::open() {
  if (depth_ == depth_max) {
    depth_refusals.fetch_add(1, std::memory_order_relaxed);
    why_ = failure{errc::bad_request,
                   "it is nested deeper than " + std::to_string(depth_max) + " levels"};
    return false;
  }
  open_[depth_++] = text_[at_++];
  return element();
}

/// Takes the bracket that closes the innermost object or list, if it comes next.
bool checker::close() {
  if (!take(in_object() ? '}' : ']'))
    return false;
  --depth_;
  return true;
}

bool checker::string() {
  const auto scan = scan_string(text_, at_);
  at_ = scan.end;
  return scan.fault == nullptr ? element() : fault(scan.fault);
}

/// A member's name and its colon.
bool checker::name() {
  skip_space();
  if (next() != '"')
    return fault("a member's name is expected");
  if (!string())
    return false;
  skip_space();
  return take(':') || fault("a colon is expected behind a member's name");
}

bool checker::word(std::string_view expected) {
  if (text_.substr(at_, expected.size()) != expected)
    return fault("a value is expected");
  at_ += expected.size();
  return element();
}

bool checker::digits() {
  const auto from = at_;
  while (is_digit(next()))
    ++at_;
  return at_ > from || fault("a number lacks a digit");
}

bool checker::number() {
  const auto from = at_;
  take('-');
  // A zero stands alone.
  if (!take('0') && !digits())
    return false;
  if (take('.') && !digits())
    return false;
  bool may_be_large = at_ - from > 300;
  if (take('e') || take('E')) {
    may_be_large = true;
    if (!take('+'))
      take('-');
    if (!digits())
      return false;
  }
  const auto written = text_.substr(from, at_ - from);
  return !may_be_large || std::isfinite(std::strtod(std::string{written}.c_str(), nullptr))
         || fault("a number is too large");
}

/// A value that has nothing in it, or all that stands before the first such value in it.
bool checker::value() {
  for (;;) {
    skip_space();
    const char first = next();
    if (first != '{' && first != '[') {
      switch (first) {
        case '"': return string();
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        default: return first == '-' || is_digit(first) ? number() : fault("a value is expected");
      }
    }
    if (!open())
      return false;
    skip_space();
    if (close())
      return true;
    if (first == '{' && !name())
      return false;
  }
}

bool checker::run() {
  if (!value())
    return false;
  for (skip_space(); depth_ > 0; skip_space()) {
    if (close())
      continue;
    if (!take(','))
      return fault(in_object() ? "a comma or the end of the object is expected"
                               : "a comma or the end of the list is expected");
    if ((in_object() && !name()) || !value())
      return false;
  }
  return at_ == text_.size() || fault("the text goes on behind its value");
}

} // namespace

expected<void> check(std::string_view text) {
  checker all{text};
  if (all.run())
    return {};
  return fail(all.why());
}

bool is_valid(std::string_view text) {
  return check(text).has_value();
}

refusal_counts refusals() {
  return {depth_refusals.load(std::memory_order_relaxed),
          elements_refusals.load(std::memory_order_relaxed)};
}

} // namespace skep::json
