#pragma once

#include "messages/cache.hpp"
#include "runtime/base/expected.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace skep::actors {

/// What POST /api/v1/performance/cache/clear is asked to forget: with both members empty,
/// everything.
struct cache_clear_wish {
  /// The name of an agent, of a provider, or provider/model.
  std::string agent;
  std::optional<msg::cache_key> key;
};

/// Reads the body: nothing or {} for everything, {"agent": NAME} or {"key": 32 hexadecimal digits}.
/// errc::bad_request for anything else: a typing error must not clear more than was meant.
expected<cache_clear_wish> read_cache_clear(std::string_view body);

} // namespace skep::actors
