#pragma once

#include "messages/message.hpp"

#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace skep::test {

/// Gives every field of a record a value that differs from its default and, as far as its type
/// allows, from all other fields, so that a lost or swapped field shows. The same record gets the
/// same values each time.
class sample_maker {
public:
  template <record T>
  T make() {
    T made;
    fill(made);
    return made;
  }

private:
  template <class T>
  void fill(T& field) {
    if constexpr (record<T>) {
      std::apply([this](auto&... each) { (fill(each), ...); }, field.fields());
    } else if constexpr (std::is_same_v<T, bool>) {
      field = !field;
    } else {
      static_assert(std::is_arithmetic_v<T>, "a field type that needs a branch here");
      field = static_cast<T>(field + static_cast<T>(++count_ % 100));
    }
  }
  void fill(std::string& field) {
    field = "text " + std::to_string(++count_);
  }
  template <class T>
  void fill(std::vector<T>& field) {
    fill(field.emplace_back());
  }
  template <class T>
  void fill(std::optional<T>& field) {
    fill(field.emplace());
  }

  unsigned count_ = 0;
};

} // namespace skep::test
