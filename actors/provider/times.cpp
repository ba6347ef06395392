#include "actors/provider/times.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <string>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

/// A number at the beginning of the text, which it is taken from.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto read
    = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (read.ec != std::errc{} || !std::isfinite(value) || value < 0)
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return value;
}

/// Milliseconds of the unit at the beginning of the text, which it is taken from; 0 for none.
double take_unit(std::string_view& text) {
  struct unit {
    std::string_view name;
    double ms;
  };
  // "ms" stands before "m", so that it is not taken for minutes.
  constexpr std::array units{unit{"ms", 1}, unit{"d", 86'400'000}, unit{"h", 3'600'000},
                             unit{"m", 60'000}, unit{"s", 1000}};
  for (const auto& each : units)
    if (text.starts_with(each.name)) {
      text.remove_prefix(each.name.size());
      return each.ms;
    }
  return 0;
}

std::optional<milliseconds> offset_of(std::string_view text) {
  if (text == "Z" || text == "z")
    return milliseconds{0};
  const bool shaped = text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
  const auto hours = shaped ? number_of(text.substr(1, 2)) : std::nullopt;
  const auto minutes = shaped ? number_of(text.substr(4, 2)) : std::nullopt;
  if (!hours || !minutes)
    return std::nullopt;
  const auto all = milliseconds{static_cast<std::int64_t>((*hours * 60 + *minutes) * 60'000)};
  return text[0] == '-' ? -all : all;
}

} // namespace

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return all && std::isfinite(value) && value >= 0 ? std::optional{value} : std::nullopt;
}

std::optional<milliseconds> duration_of(std::string_view text) {
  double sum = 0;
  if (text.empty())
    return std::nullopt;
  while (!text.empty()) {
    const auto value = take_number(text);
    const auto unit = value ? take_unit(text) : 0;
    if (unit == 0)
      return std::nullopt;
    sum += *value * unit;
  }
  constexpr double longest = 1e15; // Far beyond any sense, and within what milliseconds hold.
  return sum < longest ? std::optional{milliseconds{static_cast<std::int64_t>(std::ceil(sum))}}
                       : std::nullopt;
}

std::optional<system_clock::time_point> instant_of(std::string_view text) {
  const std::string copy{text};
  std::tm when{};
  if (strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when) != nullptr)
    return system_clock::from_time_t(timegm(&when));
  when = {};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &when);
  if (end == nullptr)
    return std::nullopt;
  auto rest = std::string_view{copy}.substr(static_cast<std::size_t>(end - copy.data()));
  double fraction = 0;
  if (rest.starts_with('.')) {
    const auto digits = rest.find_first_not_of("0123456789", 1);
    fraction = number_of("0" + std::string{rest.substr(0, digits)}).value_or(0);
    rest.remove_prefix(std::min(digits, rest.size()));
  }
  const auto offset = offset_of(rest);
  if (!offset)
    return std::nullopt;
  return system_clock::from_time_t(timegm(&when))
         + milliseconds{static_cast<std::int64_t>(fraction * 1000)} - *offset;
}

} // namespace skep::actors
