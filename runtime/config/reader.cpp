#include "runtime/config/reader.hpp"

#include "runtime/config/codec.hpp"
#include "runtime/config/parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <tuple>

namespace skep::config {

namespace {

struct unit_suffix {
  std::string_view suffix;
  std::string_view unit;
};

// No "_min": at the end of a name it is the least there may be, as "_max" is the most.
constexpr std::array<unit_suffix, 6> unit_suffixes{{{"_ns", "nanoseconds"},
                                                    {"_us", "microseconds"},
                                                    {"_ms", "milliseconds"},
                                                    {"_s", "seconds"},
                                                    {"_h", "hours"},
                                                    {"_bytes", "bytes"}}};

/// What people write for an amount with its unit, in nanoseconds or bytes.
struct amount_unit {
  std::string_view word;
  std::int64_t size;
  bool bytes;
};

constexpr std::array<amount_unit, 14> amount_units{{{"ns", 1, false},
                                                    {"us", 1'000, false},
                                                    {"ms", 1'000'000, false},
                                                    {"s", 1'000'000'000, false},
                                                    {"m", 60'000'000'000, false},
                                                    {"min", 60'000'000'000, false},
                                                    {"h", 3'600'000'000'000, false},
                                                    {"B", 1, true},
                                                    {"KB", 1'000, true},
                                                    {"MB", 1'000'000, true},
                                                    {"GB", 1'000'000'000, true},
                                                    {"KiB", 1'024, true},
                                                    {"MiB", 1'048'576, true},
                                                    {"GiB", 1'073'741'824, true}}};

/// The size of an option's own unit on the scale of amount_units; 0 when it has none.
std::int64_t unit_size(std::string_view unit) {
  if (unit == "bytes")
    return 1;
  if (unit == "nanoseconds")
    return 1;
  if (unit == "microseconds")
    return 1'000;
  if (unit == "milliseconds")
    return 1'000'000;
  if (unit == "seconds")
    return 1'000'000'000;
  return unit == "hours" ? 3'600'000'000'000 : 0;
}

/// For "5s" and an option in milliseconds: 5000. Nothing when the text is no such amount, or not a
/// whole number of units.
std::optional<std::int64_t> converted(std::string_view text, std::string_view unit) {
  std::int64_t number = 0;
  auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || number < 0 || number > 1'000'000)
    return std::nullopt;
  auto word = text.substr(static_cast<std::size_t>(rest - text.data()));
  while (!word.empty() && word.front() == ' ')
    word.remove_prefix(1);
  const auto own = unit_size(unit);
  for (const auto& known : amount_units)
    if (own != 0 && known.word == word && known.bytes == (unit == "bytes")) {
      // At most 10^6 times 3.6 * 10^12, which is below 2^63.
      auto total = number * known.size;
      return total % own == 0 ? std::optional{total / own} : std::nullopt;
    }
  return std::nullopt;
}

void wrong_kind(const value& from, std::string_view wanted, reader& in) {
  in.error(from.at, fmt::format("{} must be {}, not {}", in.name(), wanted, kind_name(from)));
}

} // namespace

void reader::error(const place& at, std::string message) {
  ++errors_;
  if (found_.size() < diagnostics_max)
    found_.emplace_back(at, std::move(message));
}

void reader::inside(std::string_view key, std::string shown, const place* at,
                    const std::function<void()>& body) {
  const auto before = path_.size();
  path_ = join_path(path_, key);
  std::swap(shown_, shown);
  if (at)
    places_.insert_or_assign(path_, *at);
  body();
  std::swap(shown_, shown);
  path_.resize(before);
}

std::string reader::name() const {
  return quoted_short(shown_);
}

void reader::remember_reference(std::string reference) {
  references_.insert_or_assign(path_, std::move(reference));
}

const place* reader::place_of(const std::string& path) const {
  auto found = places_.find(path);
  return found == places_.end() ? nullptr : &found->second;
}

std::optional<value> reader::alias_value(const option_info& option, const value* given) const {
  if (given && given->from != layer::file)
    return std::nullopt;
  for (const auto& alias : option.aliases) {
    auto text = env_.get(alias.name);
    if (!text)
      continue;
    auto made = parse_override(*text, place{alias.name}, layer::environment);
    if (auto* number = std::get_if<std::int64_t>(&made.data); number && alias.factor != 1)
      if (__builtin_mul_overflow(*number, alias.factor, number))
        *number = std::numeric_limits<std::int64_t>::max();
    return made;
  }
  return std::nullopt;
}

diagnostics reader::take_diagnostics(std::string_view main_file) {
  std::stable_sort(found_.begin(), found_.end(), [&](const diagnostic& a, const diagnostic& b) {
    return std::tuple{a.file != main_file, a.line, a.column}
           < std::tuple{b.file != main_file, b.line, b.column};
  });
  if (errors_ > found_.size()) {
    auto last = found_.back();
    last.message = fmt::format("{} more problems are not listed", errors_ - found_.size());
    found_.push_back(std::move(last));
  }
  return std::move(found_);
}

std::map<std::string, std::string> reader::take_references() {
  return std::move(references_);
}

std::map<std::string, place> reader::take_places() {
  return std::move(places_);
}

std::optional<std::int64_t> read_integer(const value& from, const integer_limits& limits,
                                         reader& in) {
  const auto* number = std::get_if<std::int64_t>(&from.data);
  if (!number) {
    auto wanted = limits.unit.empty() ? std::string{"an integer"}
                                      : fmt::format("an integer ({})", limits.unit);
    const auto* text = std::get_if<std::string>(&from.data);
    auto amount = text ? converted(*text, limits.unit) : std::nullopt;
    if (amount)
      in.error(from.at, fmt::format("{} must be {}: for {} write {}", in.name(), wanted,
                                    quoted_short(*text), *amount));
    else
      wrong_kind(from, wanted, in);
    return std::nullopt;
  }
  if (*number >= limits.min && *number <= limits.max)
    return *number;
  in.error(from.at, fmt::format("{} must be {}{}{}, not {}", in.name(), range_text(limits),
                                limits.unit.empty() ? "" : " ", limits.unit, *number));
  return std::nullopt;
}

std::optional<double> read_float(const value& from, double min, double max, reader& in) {
  double number = 0;
  if (const auto* real = std::get_if<double>(&from.data)) {
    number = *real;
  } else if (const auto* whole = std::get_if<std::int64_t>(&from.data)) {
    number = static_cast<double>(*whole);
  } else {
    wrong_kind(from, "a number", in);
    return std::nullopt;
  }
  if (std::isfinite(number) && number >= min && number <= max)
    return number;
  auto range = std::isfinite(number) ? range_text(min, max) : std::string{"finite"};
  in.error(from.at, fmt::format("{} must be {}, not {}", in.name(), range, number));
  return std::nullopt;
}

std::optional<std::string> read_text(const value& from, reader& in) {
  // The parser vouches for the file; a variable or an argument may hold any bytes.
  if (!is_utf8(from.raw)) {
    in.error(from.at, fmt::format("{} is not UTF-8", in.name()));
    return std::nullopt;
  }
  if (const auto* text = std::get_if<std::string>(&from.data))
    return *text;
  if (from.raw.empty())
    wrong_kind(from, "a string", in);
  return from.raw.empty() ? std::nullopt : std::optional{from.raw};
}

std::optional<std::size_t> read_word(const value& from, const std::vector<std::string>& words,
                                     reader& in) {
  const auto* flag = std::get_if<bool>(&from.data);
  const std::string spelt = flag == nullptr ? "" : *flag ? "true" : "false";
  const bool is_word = std::find(words.begin(), words.end(), spelt) != words.end();
  auto text = is_word ? std::optional{spelt} : read_text(from, in);
  if (!text)
    return std::nullopt;
  if (auto found = std::find(words.begin(), words.end(), *text); found != words.end())
    return static_cast<std::size_t>(found - words.begin());
  auto guess = nearest(*text, words);
  in.error(from.at, fmt::format("{} must be one of {}, not {}{}", in.name(), fmt::join(words, ", "),
                                quoted_short(*text),
                                guess ? fmt::format("; did you mean \"{}\"?", *guess) : ""));
  return std::nullopt;
}

void read_list(const value& from, reader& in, const std::function<void(const value&)>& each) {
  const auto* elements = std::get_if<array>(&from.data);
  if (!elements) {
    wrong_kind(from, "a list", in);
    return;
  }
  const auto list = in.shown();
  std::size_t index = 0;
  for (const auto& element : *elements) {
    auto number = std::to_string(index++);
    in.inside(number, fmt::format("{}[{}]", list, number), &element.at, [&] { each(element); });
  }
}

void read_members(const value& from, reader& in, const std::function<void(const member&)>& each) {
  const auto* members = std::get_if<object>(&from.data);
  if (!members) {
    wrong_kind(from, "a table", in);
    return;
  }
  for (const auto& m : *members)
    in.inside(m.key, m.key, &m.at, [&] { each(m); });
}

std::string unit_of(std::string_view key) {
  for (const auto& [suffix, unit] : unit_suffixes)
    if (key.ends_with(suffix) && !key.ends_with("_per_s"))
      return std::string{unit};
  return {};
}

std::string range_text(const integer_limits& limits) {
  // The ends of 32 and 64 bits are no limits a person set.
  const bool open = limits.max >= std::numeric_limits<std::int32_t>::max()
                    && (limits.max == std::numeric_limits<std::int32_t>::max()
                        || limits.max == std::numeric_limits<std::uint32_t>::max()
                        || limits.max == std::numeric_limits<std::int64_t>::max());
  const bool open_below = limits.min == std::numeric_limits<std::int32_t>::min()
                          || limits.min == std::numeric_limits<std::int64_t>::min();
  if (open && open_below)
    return {};
  if (open_below)
    return fmt::format("at most {}", limits.max);
  return open ? fmt::format("{} or more", limits.min)
              : fmt::format("{} to {}", limits.min, limits.max);
}

std::string range_text(double min, double max) {
  const bool open = max == std::numeric_limits<double>::max() || std::isinf(max);
  const bool open_below = min == std::numeric_limits<double>::lowest() || std::isinf(min);
  if (open && open_below)
    return {};
  if (open_below)
    return fmt::format("at most {}", max);
  return open ? fmt::format("{} or more", min) : fmt::format("{} to {}", min, max);
}

} // namespace skep::config
