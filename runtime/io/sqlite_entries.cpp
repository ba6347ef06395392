#include "runtime/io/sqlite_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace skep::io {

namespace {

using std::chrono::milliseconds;
using store::durable_condition;
using store::durable_entry;
using store::durable_key;
using store::durable_outcome;
using store::durable_page;
using store::durable_range;
using store::durable_value;

/// "skep", so that file(1) and we know the file.
constexpr std::int64_t application = 0x736b'6570;
constexpr std::int64_t layout = 1;

/// Entries that have expired and go first when a kind is full; the rest waits for the sweep.
constexpr std::int64_t sweep_first = 64;
/// One write removes no more old entries than this: it is one transaction, and others wait.
constexpr int evictions_max = 1000;

/// The rows keep the order in which keys were first written: the oldest of a kind go first.
constexpr const char* tables = R"sql(
CREATE TABLE entries(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, fence INTEGER NOT NULL,
  expires INTEGER, bytes INTEGER NOT NULL, value BLOB NOT NULL,
  UNIQUE(tenant, kind, name));
CREATE INDEX by_kind ON entries(kind);
CREATE INDEX by_expiry ON entries(expires) WHERE expires IS NOT NULL;
CREATE TABLE kinds(kind TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE versions(last INTEGER NOT NULL);
INSERT INTO versions VALUES(0);
)sql";

std::uint64_t bytes_of(const durable_key& key) {
  return key.tenant.size() + key.kind.size() + key.id.size();
}

std::int64_t as_signed(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t as_unsigned(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

} // namespace

struct sqlite_entries::statements {
  sqlite_statement begin, commit, rollback;
  sqlite_statement find, get, scan;
  sqlite_statement insert, update, remove;
  sqlite_statement sweep, sweep_kind, oldest;
  sqlite_statement usage, usages, count, version;

  expected<void> prepare(sqlite_connection& on) {
    const std::pair<sqlite_statement*, const char*> all[] = {
      {&begin, "BEGIN IMMEDIATE"},
      {&commit, "COMMIT"},
      {&rollback, "ROLLBACK"},
      {&find, "SELECT id, version, fence, bytes, expires FROM entries "
              "WHERE tenant=?1 AND kind=?2 AND name=?3"},
      {&get, "SELECT value, version, expires FROM entries "
             "WHERE tenant=?1 AND kind=?2 AND name=?3 AND (expires IS NULL OR expires>?4)"},
      {&scan, "SELECT name, value, version, expires FROM entries "
              "WHERE tenant=?1 AND kind=?2 AND name>?3 AND (expires IS NULL OR expires>?4) "
              "ORDER BY name LIMIT ?5"},
      {&insert, "INSERT INTO entries(tenant,kind,name,version,fence,expires,bytes,value) "
                "VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"},
      {&update, "UPDATE entries SET version=?2,fence=?3,expires=?4,bytes=?5,value=?6 WHERE id=?1"},
      {&remove, "DELETE FROM entries WHERE id=?1 RETURNING kind, bytes"},
      {&sweep, "DELETE FROM entries WHERE id IN (SELECT id FROM entries "
               "WHERE expires<=?1 ORDER BY expires LIMIT ?2) RETURNING kind, bytes"},
      {&sweep_kind, "DELETE FROM entries WHERE id IN (SELECT id FROM entries "
                    "WHERE expires<=?1 AND kind=?3 LIMIT ?2) RETURNING kind, bytes"},
      {&oldest, "DELETE FROM entries WHERE id=(SELECT id FROM entries "
                "WHERE kind=?1 AND id<>?2 ORDER BY id LIMIT 1) RETURNING kind, bytes"},
      {&usage, "SELECT entries, bytes FROM kinds WHERE kind=?1"},
      {&usages, "SELECT kind, entries, bytes FROM kinds"},
      {&count, "INSERT INTO kinds VALUES(?1,?2,?3) ON CONFLICT(kind) "
               "DO UPDATE SET entries=entries+excluded.entries, bytes=bytes+excluded.bytes"},
      {&version, "UPDATE versions SET last=last+1 RETURNING last"},
    };
    for (const auto& [statement, sql] : all)
      if (auto ready = statement->prepare(on, sql); !ready)
        return ready;
    return {};
  }
};

// -- opening --------------------------------------------------------------------------------------

sqlite_entries::sqlite_entries(sqlite_entries_config config) : config_(std::move(config)) {}

sqlite_entries::~sqlite_entries() = default;

expected<std::unique_ptr<sqlite_entries>> sqlite_entries::open(sqlite_entries_config config) {
  std::unique_ptr<sqlite_entries> made{new sqlite_entries{std::move(config)}};
  auto file = sqlite_connection::open(made->config_.path);
  if (!file)
    return fail(file.error());
  made->file_ = std::move(*file);
  if (auto ready = made->prepare(); !ready)
    return fail(ready.error());
  return made;
}

expected<void> sqlite_entries::prepare() {
  const auto whose = file_->number("PRAGMA application_id");
  const auto version = file_->number("PRAGMA user_version");
  const auto objects = file_->number("SELECT count(*) FROM sqlite_schema");
  for (const auto* each : {&whose, &version, &objects})
    if (!*each)
      return fail(each->error());
  const bool is_new = *objects == 0;
  if (!is_new && (*whose != application || *version != layout))
    return fail(errc::bad_config,
                config_.path + " is no store this skep can read; name another [store] path");
  if (is_new)
    if (auto made = make_tables(); !made)
      return made;
  if (config_.file_max > 0) {
    const auto page = file_->number("PRAGMA page_size");
    if (!page)
      return fail(page.error());
    const auto pages = std::max<std::size_t>(1, config_.file_max / as_unsigned(*page));
    // SQLite takes no fewer than the file has already.
    if (const auto set = file_->number(fmt::format("PRAGMA max_page_count={}", pages).c_str());
        !set)
      return fail(set.error());
  }
  prepared_ = std::make_unique<statements>();
  return prepared_->prepare(*file_);
}

expected<void> sqlite_entries::make_tables() {
  const auto sql = fmt::format("BEGIN;{}PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;",
                               tables, application, layout);
  return file_->run(sql.c_str());
}

// -- parts ----------------------------------------------------------------------------------------

std::int64_t sqlite_entries::unix_now() const {
  return std::chrono::duration_cast<milliseconds>(config_.wall_now().time_since_epoch()).count();
}

milliseconds sqlite_entries::left(std::int64_t expires) const {
  return milliseconds{std::max<std::int64_t>(1, expires - unix_now())};
}

expected<void> sqlite_entries::check_size(const durable_key& key, std::size_t value_bytes) const {
  if (bytes_of(key) > config_.key_max)
    return fail(errc::too_large, fmt::format("the key has {} bytes, {} are allowed", bytes_of(key),
                                             config_.key_max));
  const auto most
    = std::min(config_.value_max, config_.bytes_max - std::min(config_.bytes_max, config_.key_max));
  if (value_bytes > most)
    return fail(errc::too_large, fmt::format("the value has {} bytes, value_bytes of [store] "
                                             "allows {}",
                                             value_bytes, most));
  return {};
}

/// All of it happens, or nothing.
template <class T>
expected<T> sqlite_entries::in_transaction(time_point deadline,
                                           const std::function<expected<T>()>& work) {
  file_->set_deadline(deadline);
  if (auto begun = prepared_->begin.finish(); !begun)
    return fail(begun.error());
  auto result = work();
  if (result) {
    auto committed = prepared_->commit.finish();
    if (committed)
      return result;
    result = fail(committed.error());
  }
  // Without a deadline: it must happen, and costs next to nothing. An error may have rolled the
  // transaction back already; then this one fails, and nothing is lost.
  file_->set_deadline(time_point::max());
  [[maybe_unused]] const auto undone = prepared_->rollback.finish();
  return result;
}

/// Runs a statement that removes rows and tells their kind and bytes; keeps the books.
expected<std::size_t> sqlite_entries::remove_rows(sqlite_statement& which) {
  std::vector<std::pair<std::string, std::int64_t>> gone;
  for (;;) {
    const auto row = which.step();
    if (!row)
      return fail(row.error());
    if (!*row)
      break;
    gone.emplace_back(which.bytes_at(0), which.number_at(1));
  }
  which.done();
  for (const auto& [kind, bytes] : gone)
    if (auto counted = count(kind, -1, -bytes); !counted)
      return fail(counted.error());
  return gone.size();
}

expected<void> sqlite_entries::count(const std::string& kind, std::int64_t entries,
                                     std::int64_t bytes) {
  ++changes_;
  return prepared_->count.text(1, kind).number(2, entries).number(3, bytes).finish();
}

expected<std::uint64_t> sqlite_entries::next_version() {
  auto& next = prepared_->version;
  const auto row = next.step();
  if (!row)
    return fail(row.error());
  const auto version = as_unsigned(next.number_at(0));
  if (auto ended = next.finish(); !ended)
    return fail(ended.error());
  return version;
}

/// An expired entry is removed: it is as good as none.
expected<sqlite_entries::kept> sqlite_entries::find(const durable_key& key) {
  auto& query = prepared_->find;
  const auto found = query.text(1, key.tenant).text(2, key.kind).text(3, key.id).step();
  if (!found)
    return fail(found.error());
  kept made;
  bool expired = false;
  if (*found) {
    made = {query.number_at(0), as_unsigned(query.number_at(1)), as_unsigned(query.number_at(2)),
            as_unsigned(query.number_at(3))};
    expired = !query.is_null(4) && query.number_at(4) <= unix_now();
  }
  query.done();
  if (!expired)
    return made;
  if (auto removed = remove_rows(prepared_->remove.number(1, made.id)); !removed)
    return fail(removed.error());
  return kept{};
}

expected<sqlite_usage> sqlite_entries::usage_of(const std::string& kind) {
  auto& query = prepared_->usage;
  const auto found = query.text(1, kind).step();
  if (!found)
    return fail(found.error());
  sqlite_usage made;
  made.kind = kind;
  if (*found) {
    made.entries = as_unsigned(query.number_at(0));
    made.bytes = as_unsigned(query.number_at(1));
  }
  query.done();
  return made;
}

/// Makes sure that an entry of `bytes` fits in, in the place of the old one.
expected<void> sqlite_entries::make_room(const durable_key& key, const kept& old,
                                         std::uint64_t bytes, bool may_evict) {
  auto& p = *prepared_;
  for (int evictions = -1; evictions < evictions_max; ++evictions) {
    const auto used = usage_of(key.kind);
    if (!used)
      return fail(used.error());
    const auto entries = used->entries + (old.id == 0 ? 1 : 0);
    if (entries <= config_.entries_max && used->bytes - old.bytes + bytes <= config_.bytes_max)
      return {};
    const bool first = evictions < 0;
    if (!first && !may_evict)
      break;
    const auto gone
      = first
          ? remove_rows(p.sweep_kind.number(1, unix_now()).number(2, sweep_first).text(3, key.kind))
          : remove_rows(p.oldest.text(1, key.kind).number(2, old.id));
    if (!gone)
      return fail(gone.error());
    if (!first)
      evicted_ += *gone;
  }
  return fail(errc::overloaded,
              fmt::format("the store has as many entries of kind \"{}\" as its bounds allow: {} or "
                          "{} bytes",
                          key.kind, config_.entries_max, config_.bytes_max));
}

namespace {

bool holds(const durable_condition& when, std::uint64_t version, std::uint64_t fence) {
  const bool fits = !when.version || *when.version == version;
  return fits && (when.fence == 0 || when.fence >= fence);
}

} // namespace

// -- calls ----------------------------------------------------------------------------------------

expected<durable_outcome> sqlite_entries::put_if(const durable_key& key, const durable_value& value,
                                                 const durable_condition& when,
                                                 time_point deadline) {
  if (auto fits = check_size(key, value.bytes.size()); !fits)
    return fail(fits.error());
  return in_transaction<durable_outcome>(deadline, [&] { return write(key, value, when); });
}

expected<durable_outcome> sqlite_entries::write(const durable_key& key, const durable_value& value,
                                                const durable_condition& when) {
  auto& p = *prepared_;
  const auto old = find(key);
  if (!old)
    return fail(old.error());
  if (!holds(when, old->version, old->fence))
    return durable_outcome{false, old->version};
  const auto bytes = bytes_of(key) + value.bytes.size();
  if (auto room = make_room(key, *old, bytes, value.make_room); !room)
    return fail(room.error());
  const auto version = next_version();
  if (!version)
    return fail(version.error());
  const auto fence = as_signed(std::max(when.fence, old->fence));
  const bool anew = old->id == 0;
  auto& put = anew ? p.insert : p.update;
  const int at = anew ? 4 : 2; // The places differ in what stands before them only.
  if (anew)
    put.text(1, key.tenant).text(2, key.kind).text(3, key.id);
  else
    put.number(1, old->id);
  put.number(at, as_signed(*version)).number(at + 1, fence);
  if (value.ttl > milliseconds::zero())
    put.number(at + 2, unix_now() + value.ttl.count());
  else
    put.null(at + 2);
  put.number(at + 3, as_signed(bytes)).blob(at + 4, value.bytes);
  if (auto done = put.finish(); !done)
    return fail(done.error());
  if (auto counted = count(key.kind, anew ? 1 : 0, as_signed(bytes) - as_signed(old->bytes));
      !counted)
    return fail(counted.error());
  return durable_outcome{true, *version};
}

expected<std::optional<durable_entry>> sqlite_entries::get(const durable_key& key,
                                                           time_point deadline) {
  file_->set_deadline(deadline);
  auto& query = prepared_->get;
  const auto found
    = query.text(1, key.tenant).text(2, key.kind).text(3, key.id).number(4, unix_now()).step();
  if (!found)
    return fail(found.error());
  std::optional<durable_entry> made;
  if (*found)
    made = durable_entry{key.id, query.bytes_at(0), as_unsigned(query.number_at(1)),
                         query.is_null(2) ? milliseconds{0} : left(query.number_at(2))};
  query.done();
  return made;
}

expected<durable_outcome>
sqlite_entries::erase(const durable_key& key, const durable_condition& when, time_point deadline) {
  return in_transaction<durable_outcome>(deadline, [&]() -> expected<durable_outcome> {
    const auto old = find(key);
    if (!old)
      return fail(old.error());
    if (old->id == 0 || !holds(when, old->version, old->fence))
      return durable_outcome{false, old->version};
    if (auto removed = remove_rows(prepared_->remove.number(1, old->id)); !removed)
      return fail(removed.error());
    return durable_outcome{true, 0};
  });
}

expected<durable_page> sqlite_entries::scan(const durable_range& range, time_point deadline) {
  file_->set_deadline(deadline);
  auto& query = prepared_->scan;
  query.text(1, range.tenant).text(2, range.kind).text(3, range.after).number(4, unix_now());
  query.number(5, as_signed(range.entries_max) + 1);
  durable_page page;
  std::size_t bytes = 0;
  for (;;) {
    const auto found = query.step();
    if (!found)
      return fail(found.error());
    if (!*found)
      break;
    durable_entry entry{query.bytes_at(0), query.bytes_at(1), as_unsigned(query.number_at(2)),
                        query.is_null(3) ? milliseconds{0} : left(query.number_at(3))};
    bytes += entry.bytes.size();
    const bool full = page.entries.size() >= range.entries_max
                      || (!page.entries.empty() && bytes > range.bytes_max);
    if (full) {
      page.more = true;
      break;
    }
    page.entries.push_back(std::move(entry));
  }
  query.done();
  return page;
}

expected<std::size_t> sqlite_entries::sweep(std::size_t entries_max, time_point deadline) {
  return in_transaction<std::size_t>(deadline, [&] {
    return remove_rows(prepared_->sweep.number(1, unix_now()).number(2, as_signed(entries_max)));
  });
}

expected<std::vector<sqlite_usage>> sqlite_entries::usage() {
  file_->set_deadline(time_point::max());
  auto& query = prepared_->usages;
  std::vector<sqlite_usage> all;
  for (;;) {
    const auto found = query.step();
    if (!found)
      return fail(found.error());
    if (!*found)
      break;
    all.push_back(
      {query.bytes_at(0), as_unsigned(query.number_at(1)), as_unsigned(query.number_at(2))});
  }
  query.done();
  return all;
}

} // namespace skep::io
