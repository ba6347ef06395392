#include "runtime/io/sqlite_entries.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/io/sqlite_fixture.hpp"

#include <sys/stat.h>

#include <fstream>
#include <map>
#include <random>

using namespace skep;
using namespace skep::io;
using namespace skep::io::testing;
using namespace skep::store;
using std::chrono::milliseconds;

namespace {

constexpr auto no_deadline = time_point::max();

/// Entries in memory with a clock of the test's.
struct opened {
  explicit opened(sqlite_entries_config config = {}) {
    config.wall_now = [this] { return wall; };
    auto made = sqlite_entries::open(std::move(config));
    REQUIRE(made);
    entries = std::move(*made);
  }

  expected<durable_outcome> put(const std::string& id, const std::string& bytes,
                                milliseconds ttl = {}, durable_condition when = {},
                                bool make_room = false) const {
    return entries->put_if({"acme", "response", id}, {bytes, ttl, make_room}, when, no_deadline);
  }
  std::optional<std::string> get(const std::string& id) const {
    const auto found = entries->get({"acme", "response", id}, no_deadline);
    REQUIRE(found);
    return *found ? std::optional{(*found)->bytes} : std::nullopt;
  }
  sqlite_usage usage() const {
    const auto all = entries->usage();
    REQUIRE(all);
    return all->empty() ? sqlite_usage{} : all->front();
  }

  std::chrono::system_clock::time_point wall{std::chrono::hours{1'000'000}};
  std::unique_ptr<sqlite_entries> entries;
};

} // namespace

TEST_CASE("entries are written, read, listed in order and erased", "[io][sqlite]") {
  opened db;
  CHECK(db.put("b", std::string("2\0x", 3)));
  CHECK(db.put("a", "1"));
  CHECK(db.put("c", ""));
  CHECK(db.get("b") == std::string("2\0x", 3));
  CHECK(db.get("c") == "");
  CHECK_FALSE(db.get("d"));
  auto page = db.entries->scan({"acme", "response", "", 2, 1000}, no_deadline);
  REQUIRE(page);
  CHECK(page->more);
  REQUIRE(page->entries.size() == 2);
  CHECK(page->entries[1].id == "b");
  page = db.entries->scan({"acme", "response", "b", 2, 1000}, no_deadline);
  CHECK(page->entries.at(0).id == "c");
  CHECK_FALSE(page->more);
  page = db.entries->scan({"acme", "response", "", 9, 1}, no_deadline);
  CHECK(page->entries.size() == 1); // One comes in any case.
  CHECK(page->more);
  CHECK(db.entries->erase({"acme", "response", "b"}, {}, no_deadline)->done);
  CHECK_FALSE(db.entries->erase({"acme", "response", "b"}, {}, no_deadline)->done);
  CHECK_FALSE(db.get("b"));
  CHECK(db.usage().entries == 2);
}

TEST_CASE("tenants and kinds see nothing of each other", "[io][sqlite]") {
  opened db;
  CHECK(db.put("a", "mine"));
  CHECK_FALSE(*db.entries->get({"other", "response", "a"}, no_deadline));
  CHECK_FALSE(*db.entries->get({"acme", "session", "a"}, no_deadline));
  CHECK(db.entries->scan({"other", "response", "", 9, 99}, no_deadline)->entries.empty());
  CHECK_FALSE(db.entries->erase({"other", "response", "a"}, {}, no_deadline)->done);
  CHECK(db.get("a") == "mine");
}

TEST_CASE("a write happens only while its conditions hold", "[io][sqlite]") {
  opened db;
  const auto first = db.put("a", "1", {}, {0, 0});
  CHECK(first->done);
  CHECK(*db.put("a", "2", {}, {0, 0}) == durable_outcome{false, first->version});
  const auto second = db.put("a", "2", {}, {first->version, 0});
  CHECK(second->done);
  CHECK(second->version > first->version);
  CHECK_FALSE(db.put("a", "3", {}, {first->version, 0})->done);
  // The holder of lease 7 wrote; that of lease 6 is late.
  CHECK(db.put("a", "4", {}, {std::nullopt, 7})->done);
  CHECK_FALSE(db.put("a", "5", {}, {std::nullopt, 6})->done);
  CHECK_FALSE(db.entries->erase({"acme", "response", "a"}, {std::nullopt, 6}, no_deadline)->done);
  CHECK(db.put("a", "6")->done); // Who fences nothing is not fenced, and lowers nothing.
  CHECK_FALSE(db.put("a", "7", {}, {std::nullopt, 6})->done);
  CHECK(db.get("a") == "6");
  const auto before = db.entries->get({"acme", "response", "a"}, no_deadline);
  CHECK(db.entries->erase({"acme", "response", "a"}, {}, no_deadline)->done);
  CHECK(db.put("a", "8")->version > (*before)->version); // A version never comes again.
}

TEST_CASE("an expired entry is gone at once and leaves with the sweep", "[io][sqlite]") {
  opened db;
  for (int n = 0; n < 10; ++n)
    CHECK(db.put(std::to_string(n), "x", milliseconds{1000 + n}));
  CHECK(db.put("stays", "y"));
  db.wall += milliseconds{999};
  CHECK(db.get("0") == "x");
  CHECK(db.entries->get({"acme", "response", "0"}, no_deadline)->value().left == milliseconds{1});
  db.wall += milliseconds{5};
  CHECK_FALSE(db.get("0"));
  CHECK(db.get("5") == "x");
  CHECK(db.entries->scan({"acme", "response", "", 99, 99}, no_deadline)->entries.size() == 6);
  CHECK(db.usage().entries == 11);
  CHECK(db.entries->sweep(3, no_deadline) == 3);
  CHECK(db.entries->sweep(3, no_deadline) == 2);
  CHECK(db.entries->sweep(3, no_deadline) == 0);
  CHECK(db.usage().entries == 6);
  db.wall += milliseconds{100};
  CHECK(db.put("9", "new", {}, {0, 0})->done); // As if it had never been there.
  CHECK(db.usage().entries == 6);
}

TEST_CASE("a full kind refuses, or its oldest entries make room", "[io][sqlite]") {
  sqlite_entries_config config;
  config.entries_max = 3;
  opened db{config};
  for (const auto* id : {"a", "b", "c"})
    CHECK(db.put(id, "x"));
  const auto refused = db.put("d", "x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::overloaded);
  CHECK(db.put("b", "y")); // It has its place already.
  CHECK(db.put("d", "x", {}, {}, true));
  CHECK_FALSE(db.get("a"));
  CHECK(db.get("b") == "y");
  CHECK(db.entries->evicted() == 1);
  // Other kinds have bounds of their own.
  CHECK(db.entries->put_if({"acme", "session", "a"}, {"x", {}, false}, {}, no_deadline));
  // What has expired goes before anything that has not.
  CHECK(db.put("c", "z", milliseconds{10}));
  db.wall += milliseconds{10};
  CHECK(db.put("e", "x"));
  CHECK(db.get("b") == "y");
  CHECK(db.entries->evicted() == 1);
}

TEST_CASE("bytes are bounded per kind, values and keys each", "[io][sqlite]") {
  sqlite_entries_config config;
  config.bytes_max = 10'000;
  config.value_max = 4'000;
  opened db{config};
  CHECK(db.put("a", std::string(4'001, 'x')).error().code == errc::too_large);
  CHECK(db.put(std::string(600, 'k'), "x").error().code == errc::too_large);
  CHECK(db.put("a", std::string(4'000, 'x')));
  CHECK(db.put("b", std::string(4'000, 'x')));
  CHECK(db.put("c", std::string(4'000, 'x')).error().code == errc::overloaded);
  CHECK(db.usage().bytes == 2 * (4'000 + 13));
  CHECK(db.put("c", std::string(4'000, 'x'), {}, {}, true));
  CHECK_FALSE(db.get("a"));
  CHECK(db.put("b", "small"));
  CHECK(db.usage().bytes == 4'000 + 13 + 5 + 13);
}

TEST_CASE("entries outlive their process, and the file is its owner's only", "[io][sqlite]") {
  const temp_folder folder;
  sqlite_entries_config config;
  config.path = folder.file("deep/store.db");
  std::uint64_t version = 0;
  {
    opened db{config};
    version = db.put("a", "1", std::chrono::hours{1})->version;
    CHECK(db.put("b", "2"));
    struct stat status {};
    REQUIRE(::stat(config.path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    const auto second = sqlite_entries::open(config);
    REQUIRE_FALSE(second); // One process, one store.
    CHECK(second.error().code == errc::unavailable);
  }
  opened db{config};
  CHECK(db.get("a") == "1");
  CHECK(db.usage().entries == 2);
  CHECK(db.put("a", "3", {}, {version, 0})->done);
  db.wall += std::chrono::hours{2};
  CHECK(db.get("a") == "3");
}

TEST_CASE("a file that is no store of ours is left alone", "[io][sqlite]") {
  const temp_folder folder;
  sqlite_entries_config config;
  config.path = folder.file("other.db");
  SECTION("a database of another program") {
    {
      auto other = sqlite_connection::open(config.path);
      REQUIRE(other);
      REQUIRE((*other)->run("CREATE TABLE t(x)"));
    }
    CHECK(sqlite_entries::open(config).error().code == errc::bad_config);
  }
  SECTION("no database at all") {
    std::ofstream{config.path} << std::string(8192, 'x');
    CHECK(sqlite_entries::open(config).error().code == errc::malformed);
  }
  SECTION("a folder") {
    config.path = folder.file("");
    CHECK(sqlite_entries::open(config).error().code == errc::unavailable);
  }
}

TEST_CASE("a damaged file makes calls fail by name and nothing else", "[io][sqlite]") {
  const temp_folder folder;
  sqlite_entries_config config;
  config.path = folder.file("store.db");
  {
    opened db{config};
    for (int n = 0; n < 200; ++n)
      REQUIRE(db.put(std::to_string(n), std::string(1000, 'x')));
  }
  {
    // All pages behind the schema's.
    std::fstream file{config.path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(4096);
    file << std::string(200'000, '\xee');
  }
  auto db = sqlite_entries::open(config);
  if (!db) {
    CHECK(db.error().code == errc::malformed);
    return;
  }
  const auto found = (*db)->get({"acme", "response", "1"}, no_deadline);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == errc::malformed);
  const auto put = (*db)->put_if({"acme", "response", "1"}, {"x", {}, true}, {}, no_deadline);
  REQUIRE_FALSE(put);
  CHECK(put.error().code == errc::malformed);
}

TEST_CASE("a full disk refuses writes, keeps what is there, and takes writes again",
          "[io][sqlite]") {
  const temp_folder folder;
  sqlite_entries_config config;
  config.path = folder.file("store.db");
  config.file_max = 200'000;
  opened db{config};
  int stored = 0;
  expected<durable_outcome> last;
  while ((last = db.put(std::to_string(stored), std::string(10'000, 'x'))))
    REQUIRE(++stored < 100);
  CHECK(last.error().code == errc::unavailable);
  CHECK(stored > 5);
  CHECK(db.usage().entries == static_cast<std::uint64_t>(stored));
  CHECK(db.get("0") == std::string(10'000, 'x'));
  CHECK(db.entries->erase({"acme", "response", "0"}, {}, no_deadline)->done);
  CHECK(db.put("again", std::string(9'000, 'y')));
}

TEST_CASE("a call ends by its deadline", "[io][sqlite]") {
  opened db;
  for (int n = 0; n < 3000; ++n)
    REQUIRE(db.put(std::to_string(n), "x", milliseconds{1}));
  db.wall += milliseconds{10};
  const auto swept = db.entries->sweep(3000, clock::now() - 1s);
  REQUIRE_FALSE(swept);
  CHECK(swept.error().code == errc::deadline_exceeded);
  CHECK(db.usage().entries == 3000); // All of it, or nothing.
  CHECK(db.entries->sweep(5000, no_deadline) == 3000);
}

namespace {

/// What the entries should be: a map and the rules in words of its own.
struct model {
  struct entry {
    std::string bytes;
    std::uint64_t version = 0;
    std::uint64_t fence = 0;
    std::chrono::system_clock::time_point ends = std::chrono::system_clock::time_point::max();
  };

  /// Null: there is none now.
  entry* find(const durable_key& key, std::chrono::system_clock::time_point now) {
    const auto at = entries.find({key.tenant, key.kind, key.id});
    if (at != entries.end() && at->second.ends <= now) {
      entries.erase(at);
      return nullptr;
    }
    return at != entries.end() ? &at->second : nullptr;
  }
  bool allows(const durable_key& key, const durable_condition& when,
              std::chrono::system_clock::time_point now) {
    const auto* old = find(key, now);
    const auto version = old != nullptr ? old->version : 0;
    const auto fence = old != nullptr ? old->fence : 0;
    return (!when.version || *when.version == version)
           && (when.fence == 0 || fence == 0 || when.fence >= fence);
  }

  std::map<std::tuple<std::string, std::string, std::string>, entry> entries;
};

} // namespace

namespace {

/// A store and what it should be, driven by random calls.
class trial {
public:
  explicit trial(std::uint32_t seed) : random_(seed) {
    config_.path = folder_.file("store.db");
    db_ = std::make_unique<opened>(config_);
  }

  void step() {
    const durable_key key{below(2) == 0 ? "acme" : "other", below(2) == 0 ? "response" : "session",
                          "id" + std::to_string(below(12))};
    switch (below(10)) {
      case 0: db_->wall += milliseconds{below(50)}; break;
      case 1: erase(key); break;
      case 2: CHECK(db_->entries->sweep(below(5), no_deadline)); break;
      case 3:
        if (below(10) == 0)
          reopen();
        break;
      default: put(key); break;
    }
    look(key);
  }

  /// The books agree with the rows: with nothing expired, kind by kind.
  void check_books() {
    CHECK(db_->entries->sweep(1'000'000, no_deadline));
    std::map<std::string, sqlite_usage> counted;
    for (const auto& [key, entry] : should_.entries) {
      if (entry.ends <= db_->wall)
        continue;
      const auto& [tenant, kind, id] = key;
      ++counted[kind].entries;
      counted[kind].bytes += tenant.size() + kind.size() + id.size() + entry.bytes.size();
    }
    const auto books = db_->entries->usage();
    REQUIRE(books);
    for (const auto& kind : *books) {
      CHECK(kind.entries == counted[kind.kind].entries);
      CHECK(kind.bytes == counted[kind.kind].bytes);
    }
  }

private:
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>(random_() % n);
  }

  durable_condition condition(const durable_key& key) {
    const auto* old = should_.find(key, db_->wall);
    durable_condition when;
    if (below(3) == 0)
      when.version = below(2) == 0 ? 0 : old != nullptr ? old->version : below(100);
    if (below(3) == 0)
      when.fence = below(5);
    return when;
  }

  void erase(const durable_key& key) {
    const auto when = condition(key);
    const auto allowed
      = should_.find(key, db_->wall) != nullptr && should_.allows(key, when, db_->wall);
    const auto done = db_->entries->erase(key, when, no_deadline);
    REQUIRE(done);
    CHECK(done->done == allowed);
    if (done->done)
      should_.entries.erase({key.tenant, key.kind, key.id});
  }

  void put(const durable_key& key) {
    const auto when = condition(key);
    const auto allowed = should_.allows(key, when, db_->wall);
    const auto bytes = std::string(below(300), static_cast<char>(below(256)));
    const milliseconds ttl{below(2) == 0 ? 0 : 1 + below(100)};
    const auto done = db_->entries->put_if(key, {bytes, ttl, false}, when, no_deadline);
    REQUIRE(done);
    CHECK(done->done == allowed);
    if (!done->done)
      return;
    const auto* old = should_.find(key, db_->wall);
    const auto fence = std::max(when.fence, old != nullptr ? old->fence : 0);
    auto& entry = should_.entries[{key.tenant, key.kind, key.id}];
    entry = {bytes, done->version, fence};
    if (ttl.count() > 0)
      entry.ends = db_->wall + ttl;
  }

  void reopen() {
    const auto wall = db_->wall;
    db_.reset(); // One process at a time has the file.
    db_ = std::make_unique<opened>(config_);
    db_->wall = wall;
  }

  void look(const durable_key& key) {
    const auto* now = should_.find(key, db_->wall);
    const auto found = db_->entries->get(key, no_deadline);
    REQUIRE(found);
    REQUIRE(found->has_value() == (now != nullptr));
    if (now != nullptr) {
      CHECK((*found)->bytes == now->bytes);
      CHECK((*found)->version == now->version);
    }
  }

  const temp_folder folder_;
  sqlite_entries_config config_;
  std::unique_ptr<opened> db_;
  model should_;
  std::mt19937 random_;
};

} // namespace

TEST_CASE("random calls do what a map would, also over restarts", "[io][sqlite][model]") {
  const auto seed = GENERATE(1u, 2u, 3u);
  INFO("seed=" << seed);
  trial t{seed};
  for (int step = 0; step < 3000; ++step)
    t.step();
  t.check_books();
}
