#include "actors/store/role.hpp"

#include "actors/store/store_keeper.hpp"
#include "runtime/config/option.hpp"
#include "runtime/io/sqlite_store.hpp"
#include "runtime/node/breaker_options.hpp"

#include <caf/send.hpp>

#include <filesystem>
#include <string>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// `[store]`.
struct store_config {
  std::string path;
  std::uint64_t entries_max = 1'000'000;
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
  std::uint64_t value_max = std::uint64_t{16} << 20;
  std::uint64_t file_max = std::uint64_t{8} << 30;
  std::uint64_t queue_max = 10'000;
  std::uint64_t queue_bytes_max = std::uint64_t{64} << 20;
  milliseconds timeout{5'000};
  milliseconds sweep_interval{30'000};
  breaker_options breaker = eager_breaker();
};

const config::table<store_config>& store_table() {
  using c = store_config;
  constexpr std::uint64_t one = 1;
  constexpr std::uint64_t tebibyte = std::uint64_t{1} << 40;
  static const config::table<c> rows{
    option{"path", &c::path,
           "The SQLite file, made when it is not there; one per node. Empty: kept in memory, and "
           "gone when the node stops."},
    option{"entries_max", &c::entries_max, one, std::uint64_t{1'000'000'000},
           "Entries of each kind; of responses the oldest go beyond it."},
    option{"bytes", &c::bytes_max, std::uint64_t{65'536}, tebibyte,
           "Bytes of each kind's keys and values; of responses the oldest go beyond it."},
    option{"value_bytes", &c::value_max, std::uint64_t{1024}, std::uint64_t{256} << 20,
           "The largest value; larger ones are refused."},
    option{"file_bytes", &c::file_max, std::uint64_t{1} << 20, tebibyte,
           "The file without its log: beyond it, writes fail as if the disk were full."},
    option{"queue_max", &c::queue_max, one, std::uint64_t{1'000'000},
           "Calls that wait for the disk; further ones are refused."},
    option{"queue_bytes", &c::queue_bytes_max, std::uint64_t{65'536}, std::uint64_t{1} << 36,
           "Bytes of the values that wait to be written."},
    option{"timeout_ms", &c::timeout, milliseconds{1}, milliseconds{600'000},
           "The longest a call waits for the disk."},
    option{"sweep_interval_ms", &c::sweep_interval, milliseconds{100}, milliseconds{86'400'000},
           "Between looks for expired entries, which nobody sees meanwhile."},
    option{"breaker", &c::breaker, breaker_table(),
           "The circuit breaker: while it is open, the store is not asked."},
  };
  return rows;
}

std::vector<config::violation> check_path(const config::document& doc) {
  const auto& path = doc.get<store_config>("store").path;
  std::error_code failed;
  if (path.empty())
    return {};
  if (std::filesystem::is_directory(path, failed))
    return {{"store.path", "\"" + path + "\" is a folder; name a file"}};
  const auto folder = std::filesystem::path{path}.parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, failed))
    return {{"store.path", "the folder " + folder.string() + " is not there; make it first"}};
  return {};
}

io::sqlite_store_config store_of(const store_config& from) {
  io::sqlite_store_config made;
  made.entries.path = from.path;
  made.entries.entries_max = static_cast<std::size_t>(from.entries_max);
  made.entries.bytes_max = static_cast<std::size_t>(from.bytes_max);
  made.entries.value_max = static_cast<std::size_t>(from.value_max);
  made.entries.file_max = static_cast<std::size_t>(from.file_max);
  made.queue_max = static_cast<std::size_t>(from.queue_max);
  made.queue_bytes_max = static_cast<std::size_t>(from.queue_bytes_max);
  return made;
}

expected<void> build(rt::role_context& node) {
  const auto& from = node.config().get<store_config>("store");
  auto& env = node.env();
  auto opened = io::sqlite_store::open(store_of(from), env.metrics());
  if (!opened)
    return fail(opened.error());
  rt::mailbox_bounds bounds;
  bounds.messages_max = static_cast<std::uint32_t>(from.queue_max);
  bounds.bytes_max = static_cast<std::size_t>(from.queue_bytes_max);
  const auto& kind = node.kind("store", bounds);
  store_keeper_config rules;
  rules.timeout = from.timeout;
  rules.sweep_interval = from.sweep_interval;
  const std::shared_ptr<io::sqlite_store> store = std::move(*opened);
  node.on_stop([store] { store->close(); });
  rt::child_spec spec;
  spec.name = "store";
  spec.guard = guard_of(from.breaker);
  spec.start = [&env, &kind, rules, store] {
    auto keeper = env.spawn<store_keeper>(kind, rules, store);
    caf::anon_send(keeper, store_event{}); // Begins the sweep.
    return keeper;
  };
  node.supervise(std::move(spec));
  return {};
}

} // namespace

rt::role store_role() {
  rt::role made;
  made.name = "store";
  made.publishes = {{"store"}};
  made.declare = [](config::schema& accepted) {
    accepted.section("store", config::cardinality::one, store_table(),
                     "The durable store of the node: what /v1/responses keeps.");
    accepted.rule(check_path);
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
