#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace skep::io {

/// One SQLite database, for one thread. Every call ends by the deadline set last, as far as SQLite
/// itself works; a system call that hangs it cannot cut.
///
/// Errors: errc::overloaded (the disk or the file's bound is full), unavailable (the disk cannot be
/// read or written), malformed (the file is damaged, or no database), deadline_exceeded.
class sqlite_connection {
public:
  /// Opens the file, which only its owner may read, and makes it when it is not there; empty: a
  /// database in memory. No other process can open it meanwhile.
  static expected<std::unique_ptr<sqlite_connection>> open(const std::string& path);
  sqlite_connection(const sqlite_connection&) = delete;
  sqlite_connection& operator=(const sqlite_connection&) = delete;
  ~sqlite_connection();

  /// Runs statements without values.
  expected<void> run(const char* sql);
  /// Runs a query and gives the first column of its first row; 0 when there is none.
  expected<std::int64_t> number(const char* sql);
  /// For all calls until it is set again.
  void set_deadline(time_point deadline) {
    deadline_ = deadline;
  }

  /// What a result code of SQLite means here.
  failure failure_of(int code) const;
  sqlite3* handle() const {
    return handle_;
  }

private:
  sqlite_connection() = default;

  static int check_time(void* self);

  sqlite3* handle_ = nullptr;
  std::string name_;
  time_point deadline_ = time_point::max();
};

/// A statement that is prepared once and used often. Places and columns are numbered from 1 and
/// from 0, as SQLite has it; texts given to it must live until it is done().
class sqlite_statement {
public:
  sqlite_statement() = default;
  sqlite_statement(const sqlite_statement&) = delete;
  sqlite_statement& operator=(const sqlite_statement&) = delete;
  ~sqlite_statement();

  /// Once, before everything else; the connection must outlive the statement.
  expected<void> prepare(sqlite_connection& on, const char* sql);

  sqlite_statement& text(int place, std::string_view value);
  sqlite_statement& blob(int place, std::string_view value);
  sqlite_statement& number(int place, std::int64_t value);
  sqlite_statement& null(int place);

  /// True: there is a row; false: that was all. After an error the statement is done.
  expected<bool> step();
  /// For statements that give no rows, or none of interest: runs it to its end.
  expected<void> finish();
  /// Frees the rows and the values; to be called before the statement is used again.
  void done();

  std::int64_t number_at(int column) const;
  bool is_null(int column) const;
  std::string bytes_at(int column) const;

private:
  sqlite_connection* on_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
};

} // namespace skep::io
