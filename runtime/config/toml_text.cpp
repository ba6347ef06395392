#include "runtime/config/toml_text.hpp"

#include "runtime/config/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace skep::config {

namespace {

bool given(const value& v) {
  return !std::holds_alternative<std::monostate>(v.data);
}

std::string float_text(double number) {
  if (std::isnan(number))
    return "nan";
  if (std::isinf(number))
    return number < 0 ? "-inf" : "inf";
  // The shortest text that reads back to the same number; TOML wants a point or an exponent.
  auto text = fmt::format("{}", number);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string list_text(const array& elements) {
  std::string text = "[";
  for (const auto& element : elements)
    if (given(element))
      text += (text.size() > 1 ? ", " : "") + toml_inline(element);
  return text + "]";
}

std::string table_text(const object& members) {
  std::string text = "{";
  for (const auto& m : members)
    if (given(m.held))
      text += fmt::format("{} {} = {}", text.size() > 1 ? "," : "", key_text(m.key),
                          toml_inline(m.held));
  return text + (text.size() > 1 ? " }" : "}");
}

bool tables(const value& v) {
  const auto* elements = std::get_if<array>(&v.data);
  return elements && !elements->empty()
         && std::all_of(elements->begin(), elements->end(), [](const value& element) {
              return std::holds_alternative<object>(element.data);
            });
}

void print(std::string& out, const object& members, const std::string& path) {
  for (const auto& m : members)
    if (given(m.held) && !std::holds_alternative<object>(m.held.data) && !tables(m.held))
      out += fmt::format("{} = {}\n", key_text(m.key), toml_inline(m.held));
  for (const auto& m : members) {
    auto inner = join_path(path, m.key);
    if (const auto* table = std::get_if<object>(&m.held.data)) {
      out += fmt::format("\n[{}]\n", inner);
      print(out, *table, inner);
    } else if (tables(m.held)) {
      for (const auto& element : std::get<array>(m.held.data)) {
        out += fmt::format("\n[[{}]]\n", inner);
        print(out, std::get<object>(element.data), inner);
      }
    }
  }
}

} // namespace

std::string toml_inline(const value& v) {
  if (const auto* flag = std::get_if<bool>(&v.data))
    return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&v.data))
    return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&v.data))
    return float_text(*number);
  if (const auto* text = std::get_if<std::string>(&v.data))
    return quoted(*text);
  if (const auto* elements = std::get_if<array>(&v.data))
    return list_text(*elements);
  if (const auto* members = std::get_if<object>(&v.data))
    return table_text(*members);
  return "\"\"";
}

std::string toml_document(const value& root) {
  std::string out;
  print(out, std::get<object>(root.data), {});
  if (!out.empty() && out.front() == '\n')
    out.erase(0, 1);
  return out;
}

} // namespace skep::config
