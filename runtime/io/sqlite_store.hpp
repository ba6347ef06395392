#pragma once

#include "runtime/io/blocking_pool.hpp"
#include "runtime/io/sqlite_entries.hpp"
#include "runtime/store/durable_store.hpp"

#include <memory>

namespace skep::telemetry {
class registry;
} // namespace skep::telemetry

namespace skep::io {

/// A store in SQLite and what may wait for it.
struct sqlite_store_config {
  sqlite_entries_config entries;
  /// Calls that wait; further ones are refused.
  std::size_t queue_max = 10'000;
  /// Bytes of the values that wait to be written.
  std::size_t queue_bytes_max = std::size_t{64} << 20;
};

/// The durable store in SQLite: one thread ("store") owns the database, so calls take effect in the
/// order they are made, and each is a transaction. A write is on its way to the disk when it is
/// answered: the end of the process takes nothing back, a power cut may take the last of them.
class sqlite_store final : public store::durable_store {
public:
  /// Opens the file on the caller's thread; `metrics` must outlive the store.
  static expected<std::shared_ptr<sqlite_store>> open(const sqlite_store_config& config,
                                                      telemetry::registry& metrics);
  /// As close().
  ~sqlite_store() override;

  void put_if(store::durable_key key, store::durable_value value, store::durable_condition when,
              duration timeout, store::durable_callback<store::durable_outcome> done) override;
  void get(store::durable_key key, duration timeout,
           store::durable_callback<std::optional<store::durable_entry>> done) override;
  void erase(store::durable_key key, store::durable_condition when, duration timeout,
             store::durable_callback<store::durable_outcome> done) override;
  void scan(store::durable_range range, duration timeout,
            store::durable_callback<store::durable_page> done) override;
  void sweep(std::size_t entries_max, duration timeout,
             store::durable_callback<std::size_t> done) override;

  /// Refuses what waits, lets what runs end (five seconds at most) and closes the file. Idempotent;
  /// not in a callback.
  void close();

private:
  struct shared;

  sqlite_store(const sqlite_store_config& config, std::unique_ptr<sqlite_entries> entries,
               telemetry::registry& metrics);

  template <class T, class Call>
  void submit(std::size_t bytes, duration timeout, store::durable_callback<T> done, Call call);

  // The pool's thread may hang in the kernel and outlive the store, so it holds a part.
  std::shared_ptr<shared> shared_;
  blocking_pool pool_;
};

} // namespace skep::io
