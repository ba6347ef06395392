// What a store keeps when its process is killed, again and again, in the middle of writing.
#include "runtime/io/sqlite_entries.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/io/sqlite_fixture.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>
#include <vector>

using namespace skep;
using namespace skep::io;
using namespace skep::io::testing;
using namespace skep::store;

namespace {

constexpr auto no_deadline = time_point::max();
constexpr std::uint32_t ids = 50;

std::string id_of(std::uint32_t n) {
  return "id" + std::to_string(n);
}

/// What call number `n` writes: its number and a text that depends on it.
std::string value_of(std::uint32_t n) {
  return std::to_string(n) + ":" + std::string(n * 37 % 20'000, static_cast<char>('a' + n % 26));
}

/// The child: writes and erases for ever, and says the number of each call that was answered.
[[noreturn]] void write_until_killed(const std::string& path, std::uint32_t from, int told) {
  sqlite_entries_config config;
  config.path = path;
  auto db = sqlite_entries::open(config);
  if (!db)
    ::_exit(1);
  for (std::uint32_t n = from;; ++n) {
    const durable_key key{"acme", "response", id_of(n % ids)};
    const bool done = n % 7 == 0
                        ? (*db)->erase(key, {}, no_deadline).has_value()
                        : (*db)->put_if(key, {value_of(n), {}, false}, {}, no_deadline).has_value();
    if (!done || ::write(told, &n, sizeof(n)) != sizeof(n))
      ::_exit(2);
  }
}

/// Runs the child until it has told of so many calls, kills it and gives the last call it told of.
std::uint32_t run_and_kill(const std::string& path, std::uint32_t from, std::uint32_t calls) {
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    write_until_killed(path, from, ends[1]);
  }
  ::close(ends[1]);
  std::uint32_t last = 0;
  for (std::uint32_t n = 0; n < calls; ++n)
    REQUIRE(::read(ends[0], &last, sizeof(last)) == sizeof(last));
  ::kill(child, SIGKILL);
  // It went on until the signal came.
  std::uint32_t more = 0;
  while (::read(ends[0], &more, sizeof(more)) == sizeof(more))
    last = more;
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  return last;
}

/// What must be under the id after calls 1 to `last`; empty: nothing.
std::string expected_at(std::uint32_t id, std::uint32_t last) {
  auto n = last - (last % ids + ids - id) % ids;
  return n == 0 || n > last || n % 7 == 0 ? std::string{} : value_of(n);
}

} // namespace

TEST_CASE("a store whose process is killed keeps every answered write", "[io][sqlite][crash]") {
  const temp_folder folder;
  const auto path = folder.file("store.db");
  std::mt19937 random{7};
  std::uint32_t last = 0;
  for (int round = 0; round < 12; ++round) {
    last = run_and_kill(path, last + 1, 20 + static_cast<std::uint32_t>(random() % 200));
    auto file = sqlite_connection::open(path);
    REQUIRE(file);
    CHECK((*file)->number("SELECT count(*) FROM pragma_integrity_check() "
                          "WHERE integrity_check='ok'")
          == 1);
    file->reset();
    sqlite_entries_config config;
    config.path = path;
    const auto db = sqlite_entries::open(config);
    REQUIRE(db);
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    for (std::uint32_t id = 0; id < ids; ++id) {
      const auto found = (*db)->get({"acme", "response", id_of(id)}, no_deadline);
      REQUIRE(found);
      const auto value = *found ? (*found)->bytes : std::string{};
      // The call that was at work when the signal came may have happened, whole, or not.
      const bool at_work = (last + 1) % ids == id;
      CHECK((value == expected_at(id, last) || (at_work && value == expected_at(id, last + 1))));
      entries += *found ? 1 : 0;
      bytes += *found ? value.size() + 4 + 8 + id_of(id).size() : 0;
    }
    const auto books = (*db)->usage();
    REQUIRE(books);
    REQUIRE(books->size() == 1);
    CHECK(books->front().entries == entries);
    CHECK(books->front().bytes == bytes);
  }
}
