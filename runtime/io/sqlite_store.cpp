#include "runtime/io/sqlite_store.hpp"

#include "runtime/base/log.hpp"
#include "runtime/telemetry/registry.hpp"

#include <atomic>
#include <utility>

namespace skep::io {

using store::durable_callback;
using store::durable_condition;
using store::durable_entry;
using store::durable_key;
using store::durable_outcome;
using store::durable_page;
using store::durable_range;
using store::durable_value;

/// What the store's thread works with.
struct sqlite_store::shared {
  shared(std::unique_ptr<sqlite_entries> e, telemetry::registry& m)
    : entries(std::move(e)), metrics(m),
      evicted(m.counter("skep_store_evicted_total", "Entries that went to make room for newer.")),
      failed(m.counter("skep_store_failed_total", "Calls the disk or its file did not serve.")) {}

  /// Tells the gauges, when something has changed.
  void show() {
    if (std::exchange(changes_shown, entries->changes()) == entries->changes())
      return;
    const auto now = entries->usage();
    if (!now)
      return;
    for (const auto& kind : *now) {
      const telemetry::label_set labels{{"kind", kind.kind}};
      metrics
        .gauge("skep_store_entries", "Entries kept, expired ones that wait for the sweep too.",
               labels)
        .set(static_cast<std::int64_t>(kind.entries));
      metrics.gauge("skep_store_bytes", "Bytes of their keys and values.", labels)
        .set(static_cast<std::int64_t>(kind.bytes));
    }
    evicted.add(entries->evicted() - std::exchange(evicted_shown, entries->evicted()));
  }

  /// Trouble of the disk is for a person; of many failures in a row the first is logged.
  void judge(const failure* why) {
    const bool trouble = why != nullptr
                         && (why->code == errc::unavailable || why->code == errc::transport_failed
                             || why->code == errc::malformed);
    if (trouble) {
      failed.inc();
      if (!in_trouble)
        log::error("store: {}", why->detail);
    } else if (in_trouble && why == nullptr) {
      log::info("store: works again");
    }
    in_trouble = trouble || (in_trouble && why != nullptr);
  }

  std::unique_ptr<sqlite_entries> entries;
  telemetry::registry& metrics;
  telemetry::counter& evicted;
  telemetry::counter& failed;
  std::uint64_t evicted_shown = 0;
  std::uint64_t changes_shown = ~std::uint64_t{0};
  bool in_trouble = false;
  // A thread that hung until after the end must not touch the metrics.
  std::atomic<bool> closed{false};
};

namespace {

blocking_pool_config pool_of(const sqlite_store_config& from) {
  blocking_pool_config made;
  made.name = "store";
  made.threads = 1; // One connection, and an order of calls that can be relied on.
  made.queue_max = from.queue_max;
  made.queue_bytes_max = from.queue_bytes_max;
  return made;
}

std::size_t bytes_of(const durable_key& key) {
  return key.tenant.size() + key.kind.size() + key.id.size();
}

} // namespace

expected<std::shared_ptr<sqlite_store>> sqlite_store::open(const sqlite_store_config& config,
                                                           telemetry::registry& metrics) {
  auto entries = sqlite_entries::open(config.entries);
  if (!entries)
    return fail(entries.error());
  return std::shared_ptr<sqlite_store>{new sqlite_store{config, std::move(*entries), metrics}};
}

sqlite_store::sqlite_store(const sqlite_store_config& config,
                           std::unique_ptr<sqlite_entries> entries, telemetry::registry& metrics)
  : shared_(std::make_shared<shared>(std::move(entries), metrics)),
    pool_(pool_of(config), metrics) {
  shared_->show();
}

sqlite_store::~sqlite_store() {
  close();
}

void sqlite_store::close() {
  // Only the pool's thread touches the file until it has ended; one that hangs keeps it.
  const bool ended = pool_.close();
  shared_->closed = true;
  if (ended)
    shared_->entries.reset();
}

template <class T, class Call>
void sqlite_store::submit(std::size_t bytes, duration timeout, durable_callback<T> done,
                          Call call) {
  // Of `run` and `refuse` one is called; both are copyable only if what they share is.
  auto heard = std::make_shared<durable_callback<T>>(std::move(done));
  blocking_job job;
  job.bytes = bytes;
  job.deadline
    = timeout < time_point::max() - clock::now() ? clock::now() + timeout : time_point::max();
  job.run = [with = shared_, heard, call = std::move(call)](time_point deadline) {
    auto result = call(*with->entries, deadline);
    if (!with->closed) {
      with->judge(result ? nullptr : &result.error());
      with->show();
    }
    (*heard)(std::move(result));
  };
  job.refuse = [heard](failure why) { (*heard)(fail(std::move(why))); };
  pool_.submit(std::move(job));
}

void sqlite_store::put_if(durable_key key, durable_value value, durable_condition when,
                          duration timeout, durable_callback<durable_outcome> done) {
  const auto bytes = bytes_of(key) + value.bytes.size();
  submit(bytes, timeout, std::move(done),
         [key = std::move(key), value = std::move(value), when](sqlite_entries& in,
                                                                time_point deadline) {
           return in.put_if(key, value, when, deadline);
         });
}

void sqlite_store::get(durable_key key, duration timeout,
                       durable_callback<std::optional<durable_entry>> done) {
  const auto bytes = bytes_of(key);
  submit(bytes, timeout, std::move(done),
         [key = std::move(key)](sqlite_entries& in, time_point deadline) {
           return in.get(key, deadline);
         });
}

void sqlite_store::erase(durable_key key, durable_condition when, duration timeout,
                         durable_callback<durable_outcome> done) {
  const auto bytes = bytes_of(key);
  submit(bytes, timeout, std::move(done),
         [key = std::move(key), when](sqlite_entries& in, time_point deadline) {
           return in.erase(key, when, deadline);
         });
}

void sqlite_store::scan(durable_range range, duration timeout,
                        durable_callback<durable_page> done) {
  const auto bytes = range.tenant.size() + range.kind.size() + range.after.size();
  submit(bytes, timeout, std::move(done),
         [range = std::move(range)](sqlite_entries& in, time_point deadline) {
           return in.scan(range, deadline);
         });
}

void sqlite_store::sweep(std::size_t entries_max, duration timeout,
                         durable_callback<std::size_t> done) {
  submit(0, timeout, std::move(done), [entries_max](sqlite_entries& in, time_point deadline) {
    return in.sweep(entries_max, deadline);
  });
}

} // namespace skep::io
