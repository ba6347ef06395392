#pragma once

#include "messages/message.hpp"
#include "messages/shared_list.hpp"

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

namespace skep {

template <record T>
std::size_t bytes_of(const T& value);

/// About how many bytes a field keeps in memory: what mailboxes and credit windows count.
template <class T>
std::size_t bytes_of_field(const T& field) {
  if constexpr (record<T>)
    return bytes_of(field);
  else
    return sizeof(field);
}

inline std::size_t bytes_of_field(const std::string& text) {
  return sizeof(text) + text.size();
}

/// An empty list costs nothing: who knows no such field counts the same.
template <class T>
std::size_t bytes_of_field(const std::vector<T>& items) {
  std::size_t sum = items.empty() ? 0 : sizeof(items);
  for (const auto& item : items)
    sum += bytes_of_field(item);
  return sum;
}

template <class T>
std::size_t bytes_of_field(const shared_list<T>& items) {
  return bytes_of_field(items.get());
}

/// About how many bytes a record keeps in memory, strings and lists included; a shared list counts
/// whole at each of its owners.
template <record T>
std::size_t bytes_of(const T& value) {
  return std::apply(
    [](const auto&... field) { return (std::size_t{0} + ... + bytes_of_field(field)); },
    value.fields());
}

} // namespace skep
