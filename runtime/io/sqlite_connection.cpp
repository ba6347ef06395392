#include "runtime/io/sqlite_connection.hpp"

#include "runtime/base/assert.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace skep::io {

namespace {

/// Steps of SQLite's virtual machine between two looks at the clock: some ten microseconds.
constexpr int steps_per_look = 1000;

constexpr std::chrono::milliseconds trouble_retry_after{1'000};

/// SQLite would make the file readable for everybody; what is in it are conversations.
expected<void> make_private(const std::string& path) {
  std::error_code error;
  const auto folder = std::filesystem::path{path}.parent_path();
  if (!folder.empty())
    std::filesystem::create_directories(folder, error);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0)
    return fail(errc::unavailable,
                fmt::format("cannot open {}: {}", path, std::strerror(errno))); // NOLINT
  ::close(file);
  return {};
}

} // namespace

expected<std::unique_ptr<sqlite_connection>> sqlite_connection::open(const std::string& path) {
  std::unique_ptr<sqlite_connection> made{new sqlite_connection};
  made->name_ = path.empty() ? "the database in memory" : path;
  if (!path.empty())
    if (auto ready = make_private(path); !ready)
      return fail(ready.error());
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const auto* where = path.empty() ? ":memory:" : path.c_str();
  if (const int code = sqlite3_open_v2(where, &made->handle_, flags, nullptr); code != SQLITE_OK)
    return fail(made->failure_of(code));
  sqlite3_progress_handler(made->handle_, steps_per_look, check_time, made.get());
  // Exclusive: one process, and no shared-memory file beside it. In WAL mode NORMAL loses nothing
  // when the process dies; a power cut may take the last writes, never the file's integrity.
  auto set = made->run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                       "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=67108864;"
                       "PRAGMA temp_store=MEMORY; BEGIN EXCLUSIVE; COMMIT;");
  if (!set)
    return fail(set.error());
  return made;
}

sqlite_connection::~sqlite_connection() {
  sqlite3_close_v2(handle_); // Nothing happens for a null handle.
}

int sqlite_connection::check_time(void* self) {
  return clock::now() > static_cast<sqlite_connection*>(self)->deadline_ ? 1 : 0;
}

expected<void> sqlite_connection::run(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK)
    return fail(failure_of(code));
  return {};
}

expected<std::int64_t> sqlite_connection::number(const char* sql) {
  sqlite_statement query;
  if (auto ready = query.prepare(*this, sql); !ready)
    return fail(ready.error());
  const auto row = query.step();
  if (!row)
    return fail(row.error());
  return *row ? query.number_at(0) : 0;
}

failure sqlite_connection::failure_of(int code) const {
  const auto* why = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const auto text = fmt::format("{}: {}", name_, why);
  switch (code & 0xff) {
    case SQLITE_FULL: // What is there can still be read, so no circuit is to open.
      return failure{errc::unavailable,
                     text + "; make room on the disk or raise [store] file_bytes",
                     trouble_retry_after};
    case SQLITE_TOOBIG: return failure{errc::too_large, text};
    case SQLITE_INTERRUPT:
      return failure{errc::deadline_exceeded, name_ + " took longer than the call's time"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return failure{errc::malformed, text + "; put the file aside and start with a new one"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return failure{errc::unavailable, text + "; another process has it open",
                     trouble_retry_after};
    default: return failure{errc::transport_failed, text, trouble_retry_after};
  }
}

// -- statements -----------------------------------------------------------------------------------

sqlite_statement::~sqlite_statement() {
  sqlite3_finalize(handle_);
}

expected<void> sqlite_statement::prepare(sqlite_connection& on, const char* sql) {
  SKEP_ASSERT(handle_ == nullptr);
  on_ = &on;
  const int code
    = sqlite3_prepare_v3(on.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (code != SQLITE_OK)
    return fail(on.failure_of(code));
  return {};
}

sqlite_statement& sqlite_statement::text(int place, std::string_view value) {
  const int code
    = sqlite3_bind_text64(handle_, place, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  SKEP_ASSERT(code == SQLITE_OK);
  return *this;
}

sqlite_statement& sqlite_statement::blob(int place, std::string_view value) {
  // A null pointer would be NULL, not an empty value.
  const auto* data = value.empty() ? "" : value.data();
  const int code = sqlite3_bind_blob64(handle_, place, data, value.size(), SQLITE_STATIC);
  SKEP_ASSERT(code == SQLITE_OK);
  return *this;
}

sqlite_statement& sqlite_statement::number(int place, std::int64_t value) {
  SKEP_ASSERT(sqlite3_bind_int64(handle_, place, value) == SQLITE_OK);
  return *this;
}

sqlite_statement& sqlite_statement::null(int place) {
  SKEP_ASSERT(sqlite3_bind_null(handle_, place) == SQLITE_OK);
  return *this;
}

expected<bool> sqlite_statement::step() {
  switch (const int code = sqlite3_step(handle_); code) {
    case SQLITE_ROW: return true;
    case SQLITE_DONE: return false;
    default: {
      auto why = on_->failure_of(code);
      done();
      return fail(std::move(why));
    }
  }
}

expected<void> sqlite_statement::finish() {
  for (;;) {
    const auto row = step();
    if (!row)
      return fail(row.error());
    if (!*row)
      break;
  }
  done();
  return {};
}

void sqlite_statement::done() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

std::int64_t sqlite_statement::number_at(int column) const {
  return sqlite3_column_int64(handle_, column);
}

bool sqlite_statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::string sqlite_statement::bytes_at(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return data != nullptr ? std::string{data, size} : std::string{};
}

} // namespace skep::io
