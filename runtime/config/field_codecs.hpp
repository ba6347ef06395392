#pragma once

#include "runtime/config/codec.hpp"
#include "runtime/config/toml_text.hpp"

#include <chrono>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

/// The codecs of typed fields. option.hpp picks them; nothing else needs this file.
namespace skep::config::detail {

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = std::integral<Rep>;

template <class T>
concept whole = (std::integral<T> && !std::same_as<T, bool>) || is_duration<T>;

/// What takes a smallest and a largest value.
template <class T>
concept ranged = whole<T> || std::floating_point<T>;

template <class T>
concept worded = std::is_enum_v<T>;

/// The unit of a duration type, as unit_of() names it.
template <class T>
constexpr std::string_view unit_name() {
  using period = typename T::period;
  if constexpr (std::same_as<period, std::nano>)
    return "nanoseconds";
  else if constexpr (std::same_as<period, std::micro>)
    return "microseconds";
  else if constexpr (std::same_as<period, std::milli>)
    return "milliseconds";
  else if constexpr (std::same_as<period, std::ratio<60>>)
    return "minutes";
  else if constexpr (std::same_as<period, std::ratio<3600>>)
    return "hours";
  else {
    static_assert(std::same_as<period, std::ratio<1>>, "a duration without a unit of its own");
    return "seconds";
  }
}

/// The number behind a whole field; what does not fit 63 bits is held at their end, TOML knows no
/// more.
template <whole T>
constexpr std::int64_t count_of(T v) {
  if constexpr (is_duration<T>)
    return static_cast<std::int64_t>(v.count());
  else if (std::cmp_greater(v, std::numeric_limits<std::int64_t>::max()))
    return std::numeric_limits<std::int64_t>::max();
  else
    return static_cast<std::int64_t>(v);
}

/// Integers and durations. The limits keep the number within T.
template <whole T>
class whole_codec final : public codec {
public:
  whole_codec(T min, T max, std::string unit)
    : limits_{count_of(min), count_of(max), std::move(unit)} {}
  void read(const value& from, void* field, reader& in) const override {
    auto number = read_integer(from, limits_, in);
    if (!number)
      return;
    if constexpr (is_duration<T>)
      *static_cast<T*>(field) = T{static_cast<typename T::rep>(*number)};
    else
      *static_cast<T*>(field) = static_cast<T>(*number);
  }
  [[nodiscard]] value write(const void* field) const override {
    return make_value(count_of(*static_cast<const T*>(field)));
  }
  [[nodiscard]] shape describe() const override {
    return {.type = limits_.unit.empty() ? "integer" : "integer, " + limits_.unit,
            .range = range_text(limits_),
            .example = std::to_string(limits_.min)};
  }

private:
  integer_limits limits_;
};

/// float and double.
template <std::floating_point T>
class float_codec final : public codec {
public:
  float_codec(T min, T max) : min_(min), max_(max) {}
  void read(const value& from, void* field, reader& in) const override {
    if (auto number = read_float(from, double{min_}, double{max_}, in))
      *static_cast<T*>(field) = static_cast<T>(*number);
  }
  [[nodiscard]] value write(const void* field) const override {
    return make_value(double{*static_cast<const T*>(field)});
  }
  [[nodiscard]] shape describe() const override {
    return {.type = "number",
            .range = range_text(double{min_}, double{max_}),
            .example = toml_inline(make_value(double{min_}))};
  }

private:
  T min_;
  T max_;
};

/// Enums: one word for each value an option allows.
template <class T>
class word_codec final : public codec {
public:
  explicit word_codec(std::initializer_list<std::pair<std::string_view, T>> words) {
    for (const auto& [word, meaning] : words) {
      words_.emplace_back(word);
      meanings_.push_back(meaning);
    }
  }
  void read(const value& from, void* field, reader& in) const override {
    if (auto index = read_word(from, words_, in))
      *static_cast<T*>(field) = meanings_[*index];
  }
  [[nodiscard]] value write(const void* field) const override {
    for (std::size_t i = 0; i < words_.size(); ++i)
      if (meanings_[i] == *static_cast<const T*>(field))
        return make_value(words_[i]);
    return {};
  }
  [[nodiscard]] shape describe() const override {
    std::string range;
    for (const auto& word : words_)
      range += (range.empty() ? "" : ", ") + config::quoted(word);
    return {.type = "word", .range = range, .example = config::quoted(words_.front())};
  }

private:
  std::vector<std::string> words_;
  std::vector<T> meanings_;
};

} // namespace skep::config::detail
