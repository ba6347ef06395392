#include "cli/bench/expectation.hpp"

#include "runtime/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>

namespace skep::cli::bench {

namespace {

constexpr double ns_per_ms = 1e6;

double in_ms(const telemetry::local_histogram& times, double quantile) {
  return static_cast<double>(times.quantile(quantile)) / ns_per_ms;
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// The words of x-skep-cache.
constexpr std::string_view cache_words[] = {"hit", "miss", "shared", "stale", "semantic", "bypass"};

template <class Key>
std::uint64_t count_of(const std::map<Key, std::uint64_t>& counts, const Key& key) {
  const auto found = counts.find(key);
  return found != counts.end() ? found->second : 0;
}

/// "cache_shared", "cache_shared_share", "metric:NAME".
std::optional<double> cache_figure(const phase_result& r, std::string_view name) {
  constexpr std::string_view by_metric = "metric:";
  constexpr std::string_view by_word = "cache_";
  constexpr std::string_view as_share = "_share";
  if (name.size() > by_metric.size() && name.starts_with(by_metric)) {
    const auto found = r.node_metrics.find(std::string{name.substr(by_metric.size())});
    return found != r.node_metrics.end() ? found->second : 0;
  }
  if (!name.starts_with(by_word))
    return std::nullopt;
  auto word = name.substr(by_word.size());
  const bool of_all = word.ends_with(as_share);
  if (of_all)
    word.remove_suffix(as_share.size());
  if (std::find(std::begin(cache_words), std::end(cache_words), word) == std::end(cache_words))
    return std::nullopt;
  const auto count = count_of(r.cache_words, std::string{word});
  return of_all ? share(count, r.ok) : static_cast<double>(count);
}

} // namespace

std::uint64_t phase_result::error_count() const {
  std::uint64_t sum = 0;
  for (const auto& [what, count] : errors)
    sum += count;
  return sum;
}

std::uint64_t phase_result::unanswered() const {
  std::uint64_t sum = 0;
  for (const auto& [what, count] : errors)
    sum += what.starts_with("status ") ? 0 : count;
  return sum;
}

void phase_result::merge(const phase_result& other) {
  requests += other.requests;
  ok += other.ok;
  for (const auto& [what, count] : other.errors)
    errors[what] += count;
  for (const auto& [status, count] : other.statuses)
    statuses[status] += count;
  refused_without_retry_after += other.refused_without_retry_after;
  moved += other.moved;
  broken_streams += other.broken_streams;
  typed_errors += other.typed_errors;
  late += other.late;
  answered += other.answered;
  cache_hits += other.cache_hits;
  for (const auto& [word, count] : other.cache_words)
    cache_words[word] += count;
  for (const auto& [metric, value] : other.node_metrics)
    node_metrics[metric] += value;
  chunks += other.chunks;
  bytes += other.bytes;
  latency.merge(other.latency);
  first_token.merge(other.first_token);
  took += other.took;
}

std::optional<double> figure_of(const phase_result& r, const std::string& name) {
  const auto seconds = std::chrono::duration<double>{r.took}.count();
  const std::array<std::pair<std::string_view, double>, 25> figures{{
    {"requests", static_cast<double>(r.requests)},
    {"ok", static_cast<double>(r.ok)},
    {"errors", static_cast<double>(r.error_count())},
    {"cut", static_cast<double>(count_of(r.errors, std::string{"cut"}))},
    {"broken_streams", static_cast<double>(r.broken_streams)},
    {"errors_unbegun", static_cast<double>(r.error_count() - r.broken_streams)},
    {"typed_errors", static_cast<double>(r.typed_errors)},
    {"untyped_errors", static_cast<double>(r.error_count() - r.typed_errors)},
    {"late", static_cast<double>(r.late)},
    {"answered_share", share(r.answered, r.requests)},
    {"moved", static_cast<double>(r.moved)},
    {"unanswered", static_cast<double>(r.unanswered())},
    {"refused", static_cast<double>(count_of(r.statuses, 429) + count_of(r.statuses, 503))},
    {"refused_without_retry_after", static_cast<double>(r.refused_without_retry_after)},
    {"error_rate", share(r.error_count(), r.requests)},
    {"throughput", seconds > 0 ? static_cast<double>(r.ok) / seconds : 0},
    {"cache_hit_rate", share(r.cache_hits, r.ok)},
    {"p50_ms", in_ms(r.latency, 0.5)},
    {"p90_ms", in_ms(r.latency, 0.9)},
    {"p95_ms", in_ms(r.latency, 0.95)},
    {"p99_ms", in_ms(r.latency, 0.99)},
    {"max_ms", static_cast<double>(r.latency.max()) / ns_per_ms},
    {"ttft_p50_ms", in_ms(r.first_token, 0.5)},
    {"ttft_p99_ms", in_ms(r.first_token, 0.99)},
    {"chunks", static_cast<double>(r.chunks)},
  }};
  for (const auto& [known, value] : figures)
    if (known == name)
      return value;
  constexpr std::string_view by_status = "status_";
  int status = 0;
  if (name.size() == by_status.size() + 3 && name.starts_with(by_status)
      && std::from_chars(name.data() + by_status.size(), name.data() + name.size(), status).ec
           == std::errc{})
    return static_cast<double>(count_of(r.statuses, status));
  return cache_figure(r, name);
}

expected<expectation> read_expectation(const std::string& text) {
  using comparison = expectation::comparison;
  const auto sign = text.find_first_of("<>=");
  const auto wrong
    = [&](const std::string& why) { return fail(errc::bad_config, "\"" + text + "\": " + why); };
  if (sign == std::string::npos)
    return wrong("an expectation reads like p99_ms < 50");
  expectation read;
  read.text = text;
  read.figure = trimmed(std::string_view{text}.substr(0, sign));
  const bool or_equal = sign + 1 < text.size() && text[sign + 1] == '=';
  switch (text[sign]) {
    case '<': read.compare = or_equal ? comparison::less_equal : comparison::less; break;
    case '>': read.compare = or_equal ? comparison::greater_equal : comparison::greater; break;
    default: read.compare = comparison::equal; break;
  }
  if (!figure_of(phase_result{}, read.figure))
    return wrong("there is no figure called \"" + read.figure + "\"");
  const std::string number{trimmed(std::string_view{text}.substr(sign + (or_equal ? 2 : 1)))};
  const auto* end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, read.value);
  if (parsed.ec != std::errc{} || parsed.ptr != end)
    return wrong("\"" + number + "\" is no number");
  return read;
}

bool expectation::measured(const phase_result& r) const {
  if (figure.starts_with("ttft_"))
    return r.first_token.count() > 0;
  if (figure.ends_with("_ms"))
    return r.latency.count() > 0;
  if (figure == "answered_share" || figure == "error_rate")
    return r.requests > 0;
  if (figure.ends_with("_share") || figure == "cache_hit_rate")
    return r.ok > 0;
  return true;
}

bool expectation::holds(const phase_result& result) const {
  if (!measured(result))
    return false;
  const double is = *figure_of(result, figure);
  switch (compare) {
    case comparison::less: return is < value;
    case comparison::less_equal: return is <= value;
    case comparison::equal: return is == value;
    case comparison::greater_equal: return is >= value;
    case comparison::greater: return is > value;
  }
  return false;
}

} // namespace skep::cli::bench
