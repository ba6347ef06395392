#pragma once

#include "runtime/io/sqlite_connection.hpp"
#include "runtime/store/durable_store.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::io {

/// Where entries are kept, and how many.
struct sqlite_entries_config {
  /// Empty: in memory, and gone with the process.
  std::string path;
  /// Of each kind.
  std::size_t entries_max = 1'000'000;
  /// Of each kind: keys and values.
  std::size_t bytes_max = std::size_t{1} << 30;
  std::size_t value_max = std::size_t{16} << 20;
  /// Tenant, kind and id together.
  std::size_t key_max = 512;
  /// The file without its log; 0: as large as the disk. SQLite says full, as for a full disk.
  std::size_t file_max = 0;
  /// Entries expire by the time of day, the only clock that goes on while the node is down.
  std::function<std::chrono::system_clock::time_point()> wall_now
    = [] { return std::chrono::system_clock::now(); };
};

/// What a kind has.
struct sqlite_usage {
  std::string kind;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

/// The entries of a durable store in one SQLite database: each call is one transaction. Blocks; for
/// one thread. What the calls mean and how they fail is said at store::durable_store.
class sqlite_entries {
public:
  /// errc::bad_config when the file belongs to another program or a newer skep; else as
  /// sqlite_connection.
  static expected<std::unique_ptr<sqlite_entries>> open(sqlite_entries_config config);
  sqlite_entries(const sqlite_entries&) = delete;
  sqlite_entries& operator=(const sqlite_entries&) = delete;
  ~sqlite_entries();

  expected<store::durable_outcome> put_if(const store::durable_key& key,
                                          const store::durable_value& value,
                                          const store::durable_condition& when,
                                          time_point deadline);
  expected<std::optional<store::durable_entry>> get(const store::durable_key& key,
                                                    time_point deadline);
  expected<store::durable_outcome> erase(const store::durable_key& key,
                                         const store::durable_condition& when, time_point deadline);
  expected<store::durable_page> scan(const store::durable_range& range, time_point deadline);
  expected<std::size_t> sweep(std::size_t entries_max, time_point deadline);

  /// Every kind that has ever had an entry.
  expected<std::vector<sqlite_usage>> usage();
  /// Grows with every change to the books.
  std::uint64_t changes() const {
    return changes_;
  }
  /// Entries that went to make room, since the start.
  std::uint64_t evicted() const {
    return evicted_;
  }

private:
  struct statements;
  struct kept {
    std::int64_t id = 0; // 0: there is none.
    std::uint64_t version = 0;
    std::uint64_t fence = 0;
    std::uint64_t bytes = 0;
  };

  explicit sqlite_entries(sqlite_entries_config config);

  expected<void> prepare();
  expected<void> make_tables();
  std::int64_t unix_now() const;
  std::chrono::milliseconds left(std::int64_t expires) const;
  expected<void> check_size(const store::durable_key& key, std::size_t value_bytes) const;
  template <class T>
  expected<T> in_transaction(time_point deadline, const std::function<expected<T>()>& work);
  expected<store::durable_outcome> write(const store::durable_key& key,
                                         const store::durable_value& value,
                                         const store::durable_condition& when);
  expected<kept> find(const store::durable_key& key);
  expected<void> make_room(const store::durable_key& key, const kept& old, std::uint64_t bytes,
                           bool may_evict);
  expected<sqlite_usage> usage_of(const std::string& kind);
  expected<void> count(const std::string& kind, std::int64_t entries, std::int64_t bytes);
  expected<std::size_t> remove_rows(sqlite_statement& which);
  expected<std::uint64_t> next_version();

  const sqlite_entries_config config_;
  std::unique_ptr<sqlite_connection> file_;
  std::unique_ptr<statements> prepared_; // Goes before the connection.
  std::uint64_t evicted_ = 0;
  std::uint64_t changes_ = 0;
};

} // namespace skep::io
