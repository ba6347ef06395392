#pragma once

// Lets CAF carry and print every message of ours; derived from the one list of fields.
#include "messages/message.hpp"
#include "messages/shared_list.hpp"

#include <caf/meta/type_name.hpp>

#include <string>
#include <tuple>
#include <utility>

namespace skep::msg {

/// CAF 0.17 inspection of any record; used for printing only, the wire has its own codec.
template <class Inspector, skep::record T>
typename Inspector::result_type inspect(Inspector& f, T& value) {
  static const std::string name{skep::message_name<T>()};
  return std::apply(
    [&f](auto&... field) { return f(caf::meta::type_name(name.c_str()), field...); },
    value.fields());
}

} // namespace skep::msg

namespace skep {

/// The same of a shared list: as a list.
template <class Inspector, class T>
typename Inspector::result_type inspect(Inspector& f, shared_list<T>& value) {
  auto items = value.get();
  if constexpr (Inspector::writes_state) {
    const auto done = f(items);
    value = std::move(items);
    return done;
  } else {
    return f(items);
  }
}

} // namespace skep
