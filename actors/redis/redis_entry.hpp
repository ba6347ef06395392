#pragma once

#include "messages/cache.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/store/value_codec.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skep::actors {

/// Where the second level looks when it needs the time of day: the only clock that nodes and
/// restarts share. Freshness is judged by the server's own clock as well.
using wall_clock = std::chrono::system_clock;

/// The names of our keys: PREFIX:{v1}:GROUP:KEY, both in hex. The braces keep all of them in one
/// slot should a proxy shard them by hash; v1 changes when old values could be read wrongly.
class redis_keys {
public:
  /// `prefix` may hold letters, digits, '.', '_' and '-', so that it means itself in a pattern.
  explicit redis_keys(const std::string& prefix) : root_(prefix + ":{v1}:") {}

  std::string of(std::uint64_t group, const msg::cache_key& key) const;
  /// The pattern of everything a clear is to forget. A single key's group is not known then.
  std::string pattern_of(const msg::cache_clear_request& request) const;
  /// The key is one of ours.
  bool ours(std::string_view key) const;

private:
  const std::string root_;
};

/// What is stored under the key, the value as `codec` packs it.
std::string pack_entry(const store::value_codec& codec, const msg::cache_put_request& put,
                       std::chrono::milliseconds ttl, wall_clock::time_point now);

/// Reads what pack_entry() wrote, from any bytes whatever. `left` is how long the server keeps it
/// (nothing: for ever). Freshness is never longer than either clock says; nothing when it is over.
/// errc::malformed, too_large: not ours, or not from a version we can read.
expected<std::optional<msg::cache_get_reply>>
unpack_entry(const store::value_codec& codec, std::string_view bytes,
             std::optional<std::chrono::milliseconds> left, wall_clock::time_point now,
             std::size_t value_max);

} // namespace skep::actors
