#include "runtime/io/sqlite_store.hpp"
#include "runtime/telemetry/exposition.hpp"
#include "runtime/telemetry/registry.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/io/sqlite_fixture.hpp"

#include <future>

using namespace skep;
using namespace skep::io;
using namespace skep::io::testing;
using namespace skep::store;

namespace {

/// A callback and what it will hear.
template <class T>
struct hearing {
  durable_callback<T> callback() {
    return [end = end_](expected<T> result) { end->set_value(std::move(result)); };
  }
  expected<T> get() {
    auto future = end_->get_future();
    REQUIRE(future.wait_for(10s) == std::future_status::ready);
    return future.get();
  }

private:
  std::shared_ptr<std::promise<expected<T>>> end_ = std::make_shared<std::promise<expected<T>>>();
};

} // namespace

TEST_CASE("a store serves calls in order and shows what it has", "[io][sqlite]") {
  telemetry::registry metrics;
  const auto db = sqlite_store::open({}, metrics);
  REQUIRE(db);
  const durable_key key{"acme", "response", "a"};
  hearing<durable_outcome> put;
  hearing<std::optional<durable_entry>> got;
  hearing<durable_page> listed;
  hearing<durable_outcome> erased;
  hearing<std::size_t> swept;
  (*db)->put_if(key, {"value", 1h, true}, {}, 10s, put.callback());
  (*db)->get(key, duration::max(), got.callback()); // Nobody waited for the write.
  (*db)->scan({"acme", "response", "", 10, 100}, 10s, listed.callback());
  CHECK(put.get()->done);
  CHECK(got.get()->value().bytes == "value");
  CHECK(listed.get()->entries.size() == 1);
  CHECK(telemetry::prometheus_text(metrics).find(R"(skep_store_entries{kind="response"} 1)")
        != std::string::npos);
  (*db)->erase(key, {}, 10s, erased.callback());
  (*db)->sweep(10, 10s, swept.callback());
  CHECK(erased.get()->done);
  CHECK(swept.get() == 0);
  CHECK(telemetry::prometheus_text(metrics).find(R"(skep_store_entries{kind="response"} 0)")
        != std::string::npos);
}

TEST_CASE("a store refuses calls beyond its bounds and after its end", "[io][sqlite]") {
  telemetry::registry metrics;
  sqlite_store_config config;
  config.queue_bytes_max = 1000;
  const auto db = sqlite_store::open(config, metrics);
  REQUIRE(db);
  hearing<durable_outcome> over;
  (*db)->put_if({"acme", "response", "a"}, {std::string(2000, 'x'), {}, false}, {}, 10s,
                over.callback());
  CHECK(over.get().error().code == errc::overloaded);
  hearing<std::optional<durable_entry>> late;
  (*db)->get({"acme", "response", "a"}, -1s, late.callback());
  CHECK(late.get().error().code == errc::deadline_exceeded);
  (*db)->close();
  hearing<std::optional<durable_entry>> after;
  (*db)->get({"acme", "response", "a"}, 10s, after.callback());
  CHECK(after.get().error().code == errc::shutting_down);
  (*db)->close();
}

TEST_CASE("a store that cannot be opened says why", "[io][sqlite]") {
  telemetry::registry metrics;
  sqlite_store_config config;
  config.entries.path = "/proc/no/store.db";
  const auto db = sqlite_store::open(config, metrics);
  REQUIRE_FALSE(db);
  CHECK(db.error().code == errc::unavailable);
  CHECK(db.error().detail.find("/proc/no/store.db") != std::string::npos);
}
