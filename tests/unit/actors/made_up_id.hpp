#pragma once

#include "tests/unit/actors/gateway_fixture.hpp"

#include <string>

namespace skep::actors::testing {

/// The id of an answer that was made for another request, or came without one.
inline std::string made_up_id(const reply& got, const std::string& prefix) {
  auto digits = got.headers.at("x-request-id");
  std::erase(digits, '-');
  return prefix + digits;
}

} // namespace skep::actors::testing
