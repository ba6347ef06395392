#pragma once

// Lets CAF carry and print every message of ours; derived from the one list of fields.
#include "messages/message.hpp"

#include <caf/meta/type_name.hpp>

#include <string>
#include <tuple>

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
