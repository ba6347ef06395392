#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skep::store {

/// Names one entry of a durable store.
struct durable_key {
  std::string tenant;
  /// What the entry is; bounds hold per kind.
  std::string kind;
  std::string id;
};

/// When a write or an erasure is to happen; without any of these always.
struct durable_condition {
  /// Only while the entry has this version; 0: while there is none.
  std::optional<std::uint64_t> version;
  /// Above 0: only if nobody wrote the entry with a higher one (a fencing token: the number of the
  /// lease the writer holds, so that a writer whose lease is over changes nothing any more). An
  /// erased or expired entry's fence is forgotten.
  std::uint64_t fence = 0;
};

/// A value and how long it is kept.
struct durable_value {
  std::string bytes;
  /// Zero: until it is erased.
  std::chrono::milliseconds ttl{0};
  /// When the kind is full, its oldest entries go; else the write is refused.
  bool make_room = false;
};

/// What became of a write or an erasure.
struct durable_outcome {
  /// False: a condition did not hold, or there was nothing to erase.
  bool done = false;
  /// The entry's version now; 0: there is none. A version is never used again, for any entry.
  std::uint64_t version = 0;

  friend bool operator==(const durable_outcome&, const durable_outcome&) = default;
};

/// An entry as it is kept.
struct durable_entry {
  std::string id;
  std::string bytes;
  std::uint64_t version = 0;
  /// Zero: until it is erased.
  std::chrono::milliseconds left{0};

  friend bool operator==(const durable_entry&, const durable_entry&) = default;
};

/// Which entries of one tenant and kind to list.
struct durable_range {
  std::string tenant;
  std::string kind;
  /// Ids behind this one, in the order of their bytes.
  std::string after;
  std::size_t entries_max = 100;
  /// Bytes of the values; at least one entry comes.
  std::size_t bytes_max = std::size_t{1} << 20;
};

/// A part of a listing.
struct durable_page {
  std::vector<durable_entry> entries;
  /// There may be more behind the last entry.
  bool more = false;
};

/// Hears how a call ended, exactly once, on the store's thread: must be short and not throw.
template <class T>
using durable_callback = std::function<void(expected<T>)>;

/// Keeps values over restarts, asynchronously. Calls take effect in the order they are made. A call
/// that has not begun after `timeout` does not happen; one that is cut by it after that may have.
/// Thread-safe.
///
/// Errors of every call: errc::overloaded (the store has too much to do, or the disk is full),
/// deadline_exceeded, unavailable (the disk), malformed (what is on the disk is damaged),
/// shutting_down. What does not fit waits for nobody: it is refused at once, through `done`.
class durable_store {
public:
  virtual ~durable_store() = default;

  /// Writes under a condition. errc::too_large: a key or value over the store's bounds; overloaded:
  /// the kind is full.
  virtual void put_if(durable_key key, durable_value value, durable_condition when,
                      duration timeout, durable_callback<durable_outcome> done)
    = 0;
  /// Nothing: there is no such entry, or no longer.
  virtual void get(durable_key key, duration timeout,
                   durable_callback<std::optional<durable_entry>> done)
    = 0;
  virtual void erase(durable_key key, durable_condition when, duration timeout,
                     durable_callback<durable_outcome> done)
    = 0;
  virtual void scan(durable_range range, duration timeout, durable_callback<durable_page> done) = 0;
  /// Removes up to `entries_max` expired entries, which nobody sees any more, and tells how many
  /// there were: fewer than that means all. Small steps let other calls in between.
  virtual void sweep(std::size_t entries_max, duration timeout, durable_callback<std::size_t> done)
    = 0;
};

} // namespace skep::store
