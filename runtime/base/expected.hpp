#pragma once

#include "messages/failure.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace skep {

/// A value, or why there is none. Outside actors every boundary returns this (docs/adr/0002).
template <class T>
using expected = tl::expected<T, failure>;

/// Use as `return fail(errc::bad_request, "say what and what to do");`
inline tl::unexpected<failure> fail(errc code, std::string detail = {},
                                    std::chrono::milliseconds retry_after = {}) {
  return tl::make_unexpected(failure{code, std::move(detail), retry_after});
}

/// Hands an existing failure on.
inline tl::unexpected<failure> fail(failure why) {
  return tl::make_unexpected(std::move(why));
}

} // namespace skep
