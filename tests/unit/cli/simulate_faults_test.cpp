#include "cli/simulate/faults.hpp"
#include "cli/simulate/plan.hpp"
#include "tests/support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <map>

using namespace skep;
using namespace skep::cli::simulate;

namespace {

constexpr time_point start{100h};

fault_rule rule(fault_mode mode, double rate = 1) {
  fault_rule made;
  made.mode = mode;
  made.rate = rate;
  return made;
}

std::vector<fault_mode> fates(fault_book& book, std::size_t count, duration apart) {
  std::vector<fault_mode> all;
  for (std::size_t n = 0; n < count; ++n)
    all.push_back(book.next(start + apart * static_cast<std::int64_t>(n)).mode);
  return all;
}

/// A plan in a file of its own.
tl::expected<plan, config::diagnostics> plan_of(const std::string& text) {
  const auto path = std::filesystem::temp_directory_path()
                    / ("skep-plan-" + std::to_string(std::hash<std::string>{}(text)) + ".toml");
  std::ofstream{path} << text;
  auto read = load_plan(path.string(), {});
  std::filesystem::remove(path);
  return read;
}

std::string first_complaint(const std::string& text) {
  const auto read = plan_of(text);
  REQUIRE_FALSE(read);
  const auto& first = read.error().front();
  return std::to_string(first.line) + ":" + std::to_string(first.column) + ": " + first.message;
}

} // namespace

TEST_CASE("every fault mode has a name of its own that is read back", "[cli][simulate]") {
  std::map<std::string_view, int> seen;
  for (std::size_t n = 0; n < fault_mode_count; ++n) {
    const auto mode = static_cast<fault_mode>(n);
    CHECK(fault_named(to_string(mode)) == mode);
    CHECK(++seen[to_string(mode)] == 1);
    // The plan's table knows the same words.
    CHECK(plan_of("[[phase]]\nmode = \"" + std::string{to_string(mode)} + "\"\n").has_value());
  }
  CHECK_FALSE(fault_named("rain"));
}

TEST_CASE("the same seed gives the same faults, another one others", "[cli][simulate]") {
  const std::vector rules{rule(fault_mode::cut, 0.3), rule(fault_mode::error_500, 0.3)};
  fault_book one{rules, 7};
  fault_book same{rules, 7};
  fault_book other{rules, 8};
  const auto first = fates(one, 200, 1ms);
  CHECK(first == fates(same, 200, 1ms));
  CHECK(first != fates(other, 200, 1ms));
}

TEST_CASE("rates are shares of all calls, also when rules stand beside each other",
          "[cli][simulate]") {
  fault_book book{{rule(fault_mode::cut, 0.2), rule(fault_mode::stall, 0.5)}, 1};
  std::map<fault_mode, int> seen;
  for (const auto mode : fates(book, 10'000, 1us))
    ++seen[mode];
  // Six standard deviations of a binomial with 10,000 draws are at most 300.
  CHECK(std::abs(seen[fault_mode::cut] - 2'000) < 300);
  CHECK(std::abs(seen[fault_mode::stall] - 5'000) < 300);
  CHECK(std::abs(seen[fault_mode::none] - 3'000) < 300);
}

TEST_CASE("a rule ends with its count, a phase with its time, a burst comes again",
          "[cli][simulate]") {
  auto counted = rule(fault_mode::error_503);
  counted.count = 3;
  fault_book few{{counted}, 1};
  CHECK(std::ranges::count(fates(few, 10, 1ms), fault_mode::error_503) == 3);

  auto phase = rule(fault_mode::cut);
  phase.from = 100ms;
  phase.to = 200ms;
  fault_book timed{{phase}, 1};
  std::vector<int> hit;
  for (int ms : {0, 99, 100, 199, 200})
    hit.push_back(timed.next(start + std::chrono::milliseconds{ms}).mode == fault_mode::cut);
  CHECK(hit == std::vector<int>{0, 0, 1, 1, 0});

  auto burst = rule(fault_mode::rate_limited);
  burst.from = 50ms;
  burst.every = 100ms;
  burst.burst = 10ms;
  fault_book bursts{{burst}, 1, 2}; // All times doubled.
  hit.clear();
  for (int ms : {0, 99, 100, 119, 120, 299, 300, 319, 320})
    hit.push_back(bursts.next(start + std::chrono::milliseconds{ms}).mode != fault_mode::none);
  CHECK(hit == std::vector<int>{0, 0, 1, 1, 0, 0, 1, 1, 0});
}

TEST_CASE("rules set at run time go before the plan's and count from when they were set",
          "[cli][simulate]") {
  fault_book book{{rule(fault_mode::cut)}, 1};
  CHECK(book.next(start).mode == fault_mode::cut);
  auto soon = rule(fault_mode::stall);
  soon.to = 50ms;
  soon.retry_after = 7ms;
  book.set({soon}, start + 1s);
  const auto hit = book.next(start + 1s);
  CHECK(hit.mode == fault_mode::stall);
  CHECK(hit.retry_after == 7ms);
  CHECK(book.next(start + 1050ms).mode == fault_mode::cut);
  book.set({}, start + 2s);
  CHECK(book.rules_set() == 0);
}

TEST_CASE("down is a time, not a fate of single calls", "[cli][simulate]") {
  auto outage = rule(fault_mode::down);
  outage.from = 100ms;
  outage.to = 200ms;
  fault_book book{{outage}, 1};
  CHECK(book.may_be_down());
  CHECK_FALSE(book.down(start + 150ms)); // The plan's clock stands until the first call.
  CHECK(book.next(start).mode == fault_mode::none);
  CHECK_FALSE(book.down(start + 99ms));
  CHECK(book.down(start + 100ms));
  CHECK(book.next(start + 150ms).mode == fault_mode::none);
  CHECK_FALSE(book.down(start + 200ms));
}

TEST_CASE("a plan's mistakes are told with their place", "[cli][simulate]") {
  CHECK(first_complaint("[upstream]\nfirst_tokn_ms = 5\n").starts_with("2:1: unknown key"));
  CHECK(first_complaint("[[phase]]\nmode = \"rain\"\n").starts_with("2:8: "));
  CHECK(first_complaint("[[phase]]\nmode = \"cut\"\nrate = 1.5\n").starts_with("3:8: "));
  CHECK(first_complaint("[[phase]]\nmode = \"cut\"\nfrom_ms = 9\nto_ms = 5\n")
        == "4:1: [phase.0]: to_ms must be above from_ms, or 0 for no end");
  CHECK(first_complaint("[[phase]]\nmode = \"cut\"\nevery_ms = 9\n").find("burst_ms")
        != std::string::npos);
  CHECK(first_complaint("[[phase]]\nmode = \"down\"\nrate = 0.5\n")
        == "2:1: [phase.0]: down is all or nothing: it takes no rate and no count");
  CHECK(load_plan("", {"upstream.tokens_per_s=5"})->upstream.tokens_per_s == 5);
  CHECK_FALSE(load_plan("", {"upstream.nothing=5"}));
}

TEST_CASE("the control endpoint reads rules by the same table", "[cli][simulate]") {
  const auto one = read_rules(R"({"mode": "cut", "rate": 0.5, "count": 3, "to_ms": 40})");
  REQUIRE(one);
  CHECK(one->front().mode == fault_mode::cut);
  CHECK(one->front().rate == 0.5);
  CHECK(one->front().count == 3);
  CHECK(one->front().to == 40ms);
  CHECK(read_rules(R"([{"mode": "cut"}, {"mode": "stall"}])")->size() == 2);
  CHECK(read_rules("[]")->empty());
  for (const auto* wrong :
       {"", "5", "[5]", R"({"mode": "rain"})", R"({"mode": "cut", "sun": 1})",
        R"({"mode": ["cut"]})", R"({"rate": 1})", R"({"mode": "cut\"\n[upstream]\nseed = 1"})"})
    CHECK_FALSE(read_rules(wrong));
}
