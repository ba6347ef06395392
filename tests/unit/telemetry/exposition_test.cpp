#include "runtime/telemetry/exposition.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace skep::telemetry;

struct sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct parsed_family {
  std::string type;
  std::string help;
  std::vector<sample> samples;
};

/// A strict reader of the Prometheus text format 0.0.4: throws at the first thing the format does
/// not allow, and at a few it allows but nobody should write (no HELP, no TYPE, blank lines).
class strict_parser {
public:
  std::map<std::string, parsed_family> parse(std::string_view page) {
    if (!page.ends_with('\n'))
      throw std::runtime_error{"the last line has no end"};
    while (!page.empty()) {
      const auto end = page.find('\n');
      line(page.substr(0, end));
      page.remove_prefix(end + 1);
    }
    for (const auto& [name, f] : families_)
      if (f.type == "histogram")
        check_histogram(name, f);
    return families_;
  }

private:
  [[noreturn]] static void refuse(std::string_view why, std::string_view what) {
    throw std::runtime_error{std::string{why} + ": " + std::string{what}};
  }

  void line(std::string_view text) {
    if (text.starts_with("# HELP "))
      help(text.substr(7));
    else if (text.starts_with("# TYPE "))
      type(text.substr(7));
    else
      one_sample(text);
  }

  void help(std::string_view text) {
    const auto blank = text.find(' ');
    const std::string name{text.substr(0, blank)};
    if (!families_.try_emplace(name).second)
      refuse("HELP twice, or after other lines of its name", name);
    families_[name].help = unescape(text.substr(blank + 1), "\\n");
  }

  void type(std::string_view text) {
    const auto blank = text.find(' ');
    current_ = std::string{text.substr(0, blank)};
    const auto it = families_.find(current_);
    if (it == families_.end() || !it->second.type.empty() || !it->second.samples.empty())
      refuse("TYPE without HELP, twice or too late", text);
    it->second.type = std::string{text.substr(blank + 1)};
    static const std::set<std::string> known{"counter", "gauge", "histogram"};
    if (!known.contains(it->second.type))
      refuse("unknown type", text);
  }

  /// A sample must follow the TYPE of its own family directly: groups may not be mixed.
  void one_sample(std::string_view text) {
    sample s;
    auto rest = text;
    s.name = take_name(rest, true);
    if (rest.starts_with('{'))
      take_labels(rest, s.labels);
    if (!rest.starts_with(' '))
      refuse("no blank before the value", text);
    s.value = number(rest.substr(1));
    if (current_.empty() || !belongs(s.name))
      refuse("sample outside its family", text);
    if (!seen_.insert({s.name, s.labels}).second)
      refuse("the same series twice", text);
    families_[current_].samples.push_back(std::move(s));
  }

  bool belongs(const std::string& name) {
    if (families_[current_].type != "histogram")
      return name == current_;
    return name == current_ + "_bucket" || name == current_ + "_sum" || name == current_ + "_count";
  }

  static std::string take_name(std::string_view& text, bool colon) {
    std::size_t n = 0;
    const auto letter = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
    };
    while (n < text.size() && (letter(text[n]) || (n > 0 && text[n] >= '0' && text[n] <= '9')))
      ++n;
    if (n == 0)
      refuse("no name", text);
    const std::string name{text.substr(0, n)};
    text.remove_prefix(n);
    return name;
  }

  static void take_labels(std::string_view& text, std::map<std::string, std::string>& labels) {
    do {
      text.remove_prefix(1); // '{' or ','
      const auto name = take_name(text, false);
      if (!text.starts_with("=\""))
        refuse("no quoted value", text);
      text.remove_prefix(2);
      std::size_t end = 0;
      while (end < text.size() && text[end] != '"')
        end += text[end] == '\\' ? 2u : 1u;
      if (end >= text.size())
        refuse("open quote", text);
      if (!labels.emplace(name, unescape(text.substr(0, end), "\\n\"")).second)
        refuse("label twice", name);
      text.remove_prefix(end + 1);
    } while (text.starts_with(','));
    if (!text.starts_with('}'))
      refuse("open brace", text);
    text.remove_prefix(1);
  }

  static std::string unescape(std::string_view text, std::string_view allowed) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      if (++i == text.size() || allowed.find(text[i]) == std::string_view::npos)
        refuse("bad escape", text);
      out += text[i] == 'n' ? '\n' : text[i];
    }
    return out;
  }

  static double number(std::string_view text) {
    const std::string copy{text};
    if (copy == "NaN" || copy == "+Inf" || copy == "-Inf")
      return copy == "NaN" ? std::nan("") : copy == "+Inf" ? INFINITY : -INFINITY;
    std::size_t used = 0;
    const auto value = copy.empty() || copy[0] == ' ' ? 0.0 : std::stod(copy, &used);
    if (used == 0 || used != copy.size() || !std::isfinite(value))
      refuse("no number", text);
    return value;
  }

  /// Buckets ascend in le and in count, the last is +Inf and equals _count, _sum is there.
  static void check_histogram(const std::string& name, const parsed_family& f) {
    struct seen_series {
      double le = -INFINITY;
      double below = 0;
      std::optional<double> count;
      std::optional<double> sum;
    };
    std::map<std::map<std::string, std::string>, seen_series> all;
    for (auto s : f.samples) {
      std::optional<double> le;
      if (const auto it = s.labels.find("le"); it != s.labels.end()) {
        le = number(it->second);
        s.labels.erase(it);
      }
      auto& seen = all[s.labels];
      if (le.has_value() != (s.name == name + "_bucket"))
        refuse("le in the wrong place", name);
      if (le) {
        if (*le <= seen.le || s.value < seen.below)
          refuse("buckets fall", name);
        seen.le = *le;
        seen.below = s.value;
      } else {
        (s.name == name + "_sum" ? seen.sum : seen.count) = s.value;
      }
    }
    for (const auto& [labels, seen] : all)
      if (seen.le != INFINITY || !seen.count || !seen.sum || *seen.count != seen.below)
        refuse("+Inf, sum or count missing or unequal", name);
  }

  std::map<std::string, parsed_family> families_;
  std::string current_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

std::map<std::string, parsed_family> parse(std::string_view page) {
  return strict_parser{}.parse(page);
}

/// The value of one series; throws when it is not on the page.
double at(const std::map<std::string, parsed_family>& page, const std::string& family,
          const std::string& name, const std::map<std::string, std::string>& labels = {}) {
  for (const auto& s : page.at(family).samples)
    if (s.name == name && s.labels == labels)
      return s.value;
  throw std::out_of_range{name};
}

} // namespace

TEST_CASE("the test's parser refuses what the format does not allow", "[telemetry][exposition]") {
  const std::string head = "# HELP a A.\n# TYPE a counter\n";
  CHECK_NOTHROW(parse(head + "a{b=\"c\"} 1\n"));
  for (const char* bad :
       {"b 1\n", "a 1", "a\n", "a x\n", "a 1 \n", "a{b=c} 1\n", "a{b=\"c} 1\n", "a{b=\"\\q\"} 1\n",
        "a{b=\"c\",} 1\n", "a{b=\"c\",b=\"d\"} 1\n", "a 1\na 2\n", "\na 1\n", "# TYPE a gauge\n"})
    CHECK_THROWS(parse(head + bad));
  const std::string histogram = "# HELP h H.\n# TYPE h histogram\n";
  CHECK_NOTHROW(parse(histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"));
  CHECK_THROWS(parse(histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"));
  CHECK_THROWS(parse(histogram + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"));
  CHECK_THROWS(
    parse(histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"));
}

TEST_CASE("counters and gauges appear with help and type", "[telemetry][exposition]") {
  registry r;
  r.counter("test_hits_total", "Hits.", {{"tier", "l1"}}).add(7);
  r.counter("test_hits_total", "Hits.", {{"tier", "l2"}}).add(18'446'744'073'709'551'615ull);
  r.gauge("test_depth", "Depth.").set(-3);
  auto ratio = r.gauge_callback("test_ratio", "Ratio.", {}, [] { return 0.1; });
  const auto text = prometheus_text(r);
  const auto page = parse(text);
  CHECK(page.at("test_hits_total").type == "counter");
  CHECK(page.at("test_hits_total").help == "Hits.");
  CHECK(page.at("test_depth").type == "gauge");
  CHECK(at(page, "test_hits_total", "test_hits_total", {{"tier", "l1"}}) == 7);
  CHECK(at(page, "test_depth", "test_depth") == -3);
  CHECK(at(page, "test_ratio", "test_ratio") == 0.1);
  CHECK(text.find("test_hits_total{tier=\"l2\"} 18446744073709551615\n") != std::string::npos);
}

TEST_CASE("labels and help survive quotes, backslashes, line ends and bad bytes",
          "[telemetry][exposition]") {
  registry r;
  const std::string odd = "a\"b\\c\nd\\n{},=";
  r.counter("test_total", "Line one\nline \"two\" \\n.", {{"odd", odd}}).inc();
  r.gauge("test_bytes", "Bad bytes.", {{"v", "x\xFF\xC0y"}}).set(1);
  const auto text = prometheus_text(r);
  const auto page = parse(text);
  CHECK(at(page, "test_total", "test_total", {{"odd", odd}}) == 1);
  CHECK(page.at("test_total").help == "Line one\nline \"two\" \\n.");
  CHECK(at(page, "test_bytes", "test_bytes", {{"v", "x\xEF\xBF\xBD\xEF\xBF\xBDy"}}) == 1);
}

TEST_CASE("values that are no number have Prometheus's spelling", "[telemetry][exposition]") {
  registry r;
  auto a = r.gauge_callback("test_a", "A.", {}, [] { return std::nan(""); });
  auto b = r.gauge_callback("test_b", "B.", {}, [] { return double{INFINITY}; });
  auto c = r.gauge_callback("test_c", "C.", {}, [] { return -double{INFINITY}; });
  const auto page = parse(prometheus_text(r));
  CHECK(std::isnan(at(page, "test_a", "test_a")));
  CHECK(at(page, "test_b", "test_b") == INFINITY);
  CHECK(at(page, "test_c", "test_c") == -INFINITY);
}

TEST_CASE("a histogram shows buckets, sum, count and quantiles", "[telemetry][exposition]") {
  registry r;
  auto& h = r.histogram("test_seconds", "Time.", {{"route", "/v1"}});
  for (int ms = 1; ms <= 1000; ++ms)
    h.record(std::chrono::milliseconds{ms});
  h.record(200s);
  const auto page = parse(prometheus_text(r));
  const auto bucket = [&](const char* le) {
    return at(page, "test_seconds", "test_seconds_bucket", {{"route", "/v1"}, {"le", le}});
  };
  CHECK(bucket("0.01") == Approx(10).margin(1));
  CHECK(bucket("0.32") == Approx(320).margin(20));
  CHECK(bucket("1.28") == 1000);
  CHECK(bucket("81.92") == 1000);
  CHECK(bucket("+Inf") == 1001);
  CHECK(at(page, "test_seconds", "test_seconds_sum", {{"route", "/v1"}}) == Approx(700.5));
  CHECK(at(page, "test_seconds", "test_seconds_count", {{"route", "/v1"}}) == 1001);
  const auto quantile = [&](const std::string& name) {
    CHECK(page.at(name).type == "gauge");
    return at(page, name, name, {{"route", "/v1"}});
  };
  CHECK(quantile("test_seconds_p50") == Approx(0.5).epsilon(1.0 / 16));
  CHECK(quantile("test_seconds_p95") == Approx(0.95).epsilon(1.0 / 16));
  CHECK(quantile("test_seconds_p99") == Approx(0.99).epsilon(1.0 / 16));
}

TEST_CASE("boundaries and unit of a histogram can be chosen", "[telemetry][exposition]") {
  registry r;
  auto& h = r.histogram("test_tokens", "Tokens.", {}, {{1, 4, 16, 64}, 1.0});
  for (const std::uint64_t n : {1, 4, 5, 60, 100})
    h.record_value(n);
  const auto page = parse(prometheus_text(r));
  const auto bucket = [&](const char* le) {
    return at(page, "test_tokens", "test_tokens_bucket", {{"le", le}});
  };
  CHECK(bucket("1") == 1);
  CHECK(bucket("4") == 2);
  CHECK(bucket("16") == 3);
  CHECK(bucket("64") == 4);
  CHECK(bucket("+Inf") == 5);
  CHECK(at(page, "test_tokens", "test_tokens_sum") == 170);
}

TEST_CASE("an empty histogram is whole and its quantiles are NaN", "[telemetry][exposition]") {
  registry r;
  r.histogram("test_seconds", "Time.");
  const auto page = parse(prometheus_text(r));
  CHECK(at(page, "test_seconds", "test_seconds_count") == 0);
  CHECK(std::isnan(at(page, "test_seconds_p99", "test_seconds_p99")));
}

TEST_CASE("pages stay whole while four threads write", "[telemetry][exposition]") {
  registry r;
  auto& h = r.histogram("test_seconds", "Time.");
  std::vector<std::thread> writers;
  for (int t = 1; t <= 4; ++t)
    writers.emplace_back([&h, &r, t] {
      for (int i = 0; i < 4000; ++i) {
        h.record(std::chrono::microseconds{i * t * 37});
        r.counter("test_total", "Help.", {{"n", std::to_string(i % 7)}}).inc();
      }
    });
  double before = 0;
  for (int i = 0; i < 30; ++i) {
    const auto count = at(parse(prometheus_text(r)), "test_seconds", "test_seconds_count");
    CHECK(count >= before);
    before = count;
  }
  for (auto& t : writers)
    t.join();
  CHECK(at(parse(prometheus_text(r)), "test_seconds", "test_seconds_count") == 16'000);
}

TEST_CASE("the JSON page carries the same numbers", "[telemetry][exposition]") {
  registry r;
  r.counter("test_hits_total", "Hits.", {{"tier", "l\"1\n"}}).add(7);
  auto& h = r.histogram("test_seconds", "Time.");
  auto& empty = r.histogram("test_empty_seconds", "Nothing yet.");
  auto nan = r.gauge_callback("test_nan", "No number.", {}, [] { return std::nan(""); });
  h.record(100ms);
  h.record(300ms);
  const auto page = nlohmann::json::parse(json_text(r));
  const auto& hits = page.at("test_hits_total");
  CHECK(hits.at("type") == "counter");
  CHECK(hits.at("help") == "Hits.");
  CHECK(hits.at("series").at(0).at("labels").at("tier") == "l\"1\n");
  CHECK(hits.at("series").at(0).at("value") == 7);
  const auto& time = page.at("test_seconds").at("series").at(0);
  CHECK(time.at("count") == 2);
  CHECK(time.at("sum").get<double>() == Approx(0.4));
  CHECK(time.at("max").get<double>() == Approx(0.3));
  CHECK(time.at("mean").get<double>() == Approx(0.2));
  CHECK(time.at("p50").get<double>() == Approx(0.1).epsilon(1.0 / 16));
  CHECK(time.at("buckets").size() == 14);
  CHECK(time.at("buckets").at(4).at("le") == 0.16);
  CHECK(time.at("buckets").at(4).at("count") == 1);
  CHECK(empty.snapshot().count() == 0);
  CHECK(page.at("test_empty_seconds").at("series").at(0).at("p99").is_null());
  CHECK(page.at("test_nan").at("series").at(0).at("value").is_null());
}
