#pragma once

#include "messages/cache.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/identity.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace skep::actors {

/// Bounds of a context cache.
struct context_cache_config {
  std::size_t entries_max = 1024;
  /// Memory of the entries, overhead included.
  std::size_t bytes_max = 8u << 20;
  /// What was not used for so long is dropped.
  duration idle_ttl = 600s;
  /// Values of this size and more are remembered by themselves, so that a request that differs from
  /// the last one in a small member only (user, metadata) need not read its tools again.
  std::size_t value_min = 1024;
  /// Keys the hashes: nobody who sends requests can write one that passes for another's.
  identity_secret secret = identity_secret::well_known();
};

/// What the parameters of a request are made from: JSON objects as text, or empty.
struct context_inputs {
  /// The agent's; the request's own win.
  std::string_view defaults;
  std::string_view own;
};

/// The parameters of a request, ready to be sent and to be part of a key.
struct assembled_context {
  /// The merged object: own members first, byte for byte as they came, then the defaults that they
  /// do not name. Empty when there is none.
  std::string parameters;
  /// Hash of all members that may change the answer, whatever their order and spacing; the same on
  /// every node with the same secret. All zero when there is none.
  msg::cache_key identity;
  /// The request says temperature 0: equal requests are meant to have equal answers.
  bool deterministic = false;
};

/// Remembers assembled contexts by their inputs. Agents send the same tools with every call, often
/// 20 to 100 KiB: reading them is a hundred times the work of everything else an agent does. Least
/// recently used goes first. Values are pure functions of the inputs, so nothing is ever stale.
/// Inputs are compared byte by byte, large values by 128 bits of a keyed hash. Not thread-safe; one
/// per thread is meant.
class context_cache {
public:
  struct counters {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
  };

  explicit context_cache(context_cache_config config = {});
  context_cache(context_cache&&) noexcept;
  ~context_cache();

  /// Valid until the next call. Inputs that are no JSON objects count as empty ones.
  const assembled_context& assemble(const context_inputs& inputs, time_point now);

  /// Hash of any JSON text, whatever the order of its members and its spacing; of no text all zero,
  /// of text that is no JSON that of its bytes.
  msg::cache_key identity_of(std::string_view json, time_point now);

  /// What its hashes are keyed with.
  const identity_secret& secret() const;
  const counters& stats() const;
  std::size_t entries() const;
  std::size_t bytes() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Whether a member of a request body may change what a model answers. Those that only steer
/// billing, storage, the provider's prompt cache or the transport do not. A `cache_control` inside
/// of a message or a tool counts as part of it: there it cannot be told from a tool's own property
/// of that name, and a key that mixes two tools up would be a lie.
bool is_relevant(std::string_view parameter);

} // namespace skep::actors
