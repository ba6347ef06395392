#include "actors/provider/journal.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_folder.hpp"

using namespace skep;
using skep::actors::journal;
using skep::test::log_folder;

namespace {

constexpr time_point start = time_point{} + 1h;
const failure gone{errc::transport_failed, "connection refused"};

} // namespace

TEST_CASE("a provider's outage is told once, and that it answers again",
          "[actors][provider][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  journal told{"up", "http://up/v1"};
  told.answered(); // Nothing was wrong.
  for (int n = 0; n < 100; ++n)
    told.failed(gone, start + n * 1s);
  CHECK(told.tells_of(errc::transport_failed));
  told.failed(failure{errc::provider_auth_failed, "wrong key"}, start + 100s); // Another kind.
  told.answered();
  told.answered();
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ends_with("warn [-] provider in trouble provider=up address=http://up/v1 "
                           "error=transport_failed reason=\"connection refused\""));
  CHECK(lines[1].find("error=provider_auth_failed") != std::string::npos);
  CHECK(lines[2].ends_with("info [-] provider answers again provider=up address=http://up/v1"));
}

TEST_CASE("a provider that fails now and then costs few lines", "[actors][provider][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  journal told{"up", "http://up/v1"};
  for (int n = 0; n < 600; ++n) { // A minute, one in two fails.
    told.failed(gone, start + n * 100ms);
    told.answered();
    told.budget_spent(start + n * 100ms);
  }
  // Of each: at the start and 30 s later.
  CHECK(folder.lines().size() == 6);
}
