#pragma once

#include "runtime/json/members.hpp"
#include "runtime/json/string.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

// Writing JSON by appending to a text, where every byte of an answer passes.
namespace skep::json {

/// Appends the members of a JSON object's text to an object being written.
inline void splice(std::string& out, const std::string& object) {
  if (object.size() > 2) {
    out += ',';
    out.append(object, 1, object.size() - 2);
  }
}

inline void append_member(std::string& out, std::string_view key, std::string_view text) {
  out += '"';
  out += key;
  out += "\":";
  append_quoted(out, text);
}

/// Appends an object's members but those that were written already: of two readers take the last.
inline void splice_but(std::string& out, const std::string& object,
                       std::initializer_list<std::string_view> written) {
  for (const auto name : written)
    if (object.find(name) != std::string::npos)
      return splice(out, object_without(object, written));
  splice(out, object);
}

} // namespace skep::json
