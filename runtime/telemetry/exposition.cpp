#include "runtime/telemetry/exposition.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <iterator>

namespace skep::telemetry {

namespace {

struct named_quantile {
  const char* name;
  double p;
};
constexpr std::array<named_quantile, 3> quantiles{{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}}};

const char* name_of(metric_kind kind) {
  switch (kind) {
    case metric_kind::counter: return "counter";
    case metric_kind::gauge: return "gauge";
    case metric_kind::histogram: return "histogram";
  }
  return "untyped";
}

/// A recorded number in the exposed unit.
double scaled(std::uint64_t recorded, double scale) {
  return static_cast<double>(recorded) * scale;
}

/// The recorded number a boundary stands for.
std::uint64_t unscaled(double boundary, double scale) {
  const auto recorded = boundary / scale;
  if (!(recorded > 0))
    return 0;
  return recorded >= static_cast<double>(log_linear::value_max)
           ? log_linear::value_max
           : static_cast<std::uint64_t>(std::llround(recorded));
}

/// `text` with every character of `what` behind a backslash, line ends as \n.
std::string escaped(std::string_view text, std::string_view what) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (what.find(c) != std::string_view::npos)
      out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value))
    return "NaN";
  if (std::isinf(value))
    return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// {a="x",b="y"}, or nothing without labels.
std::string label_text(const label_set& labels, std::string_view le = {}) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}{}=\"{}\"", out.empty() ? "{" : ",", name,
                   escaped(value, "\\\""));
  };
  for (const auto& [name, value] : labels)
    add(name, value);
  if (!le.empty())
    add("le", le);
  return out.empty() ? out : out + "}";
}

/// Writes the Prometheus text of one family after the other.
class text_writer {
public:
  void family(const family_snapshot& f) {
    header(f.name, f.help, name_of(f.kind));
    for (const auto& s : f.series)
      series(f, s);
    if (f.kind == metric_kind::histogram)
      quantile_gauges(f);
  }
  std::string take() {
    return std::move(out_);
  }

private:
  void header(std::string_view name, std::string_view help, const char* kind) {
    fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name,
                   escaped(help, "\\"), name, kind);
  }
  void sample(std::string_view name, std::string_view suffix, std::string_view labels,
              std::string_view value) {
    fmt::format_to(std::back_inserter(out_), "{}{}{} {}\n", name, suffix, labels, value);
  }
  void series(const family_snapshot& f, const series_snapshot& s) {
    const auto labels = label_text(s.labels);
    if (const auto* n = std::get_if<std::uint64_t>(&s.value))
      sample(f.name, "", labels, fmt::format("{}", *n));
    else if (const auto* i = std::get_if<std::int64_t>(&s.value))
      sample(f.name, "", labels, fmt::format("{}", *i));
    else if (const auto* d = std::get_if<double>(&s.value))
      sample(f.name, "", labels, number(*d));
    else
      histogram(f, s.labels, *std::get<shared_histogram>(s.value));
  }
  void histogram(const family_snapshot& f, const label_set& labels, const local_histogram& h) {
    for (const double bound : f.options.boundaries)
      sample(f.name, "_bucket", label_text(labels, number(bound)),
             fmt::format("{}", h.count_at_most(unscaled(bound, f.options.scale))));
    sample(f.name, "_bucket", label_text(labels, "+Inf"), fmt::format("{}", h.count()));
    sample(f.name, "_sum", label_text(labels), number(scaled(h.sum(), f.options.scale)));
    sample(f.name, "_count", label_text(labels), fmt::format("{}", h.count()));
  }
  void quantile_gauges(const family_snapshot& f) {
    for (const auto& q : quantiles) {
      const auto name = fmt::format("{}_{}", f.name, q.name);
      header(name, fmt::format("{} ({} since the start.)", f.help, q.name), "gauge");
      for (const auto& s : f.series) {
        const auto& h = *std::get<shared_histogram>(s.value);
        const auto value = h.count() == 0 ? std::nan("") : scaled(h.quantile(q.p), f.options.scale);
        sample(name, "", label_text(s.labels), number(value));
      }
    }
  }

  std::string out_;
};

nlohmann::ordered_json finite(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

void add_histogram(nlohmann::ordered_json& to, const local_histogram& h,
                   const histogram_options& options) {
  to["count"] = h.count();
  to["sum"] = scaled(h.sum(), options.scale);
  to["max"] = scaled(h.max(), options.scale);
  to["mean"] = h.mean() * options.scale;
  for (const auto& q : quantiles)
    to[q.name] = h.count() == 0 ? nlohmann::ordered_json(nullptr)
                                : finite(scaled(h.quantile(q.p), options.scale));
  auto& buckets = to["buckets"] = nlohmann::ordered_json::array();
  for (const double bound : options.boundaries)
    buckets.push_back({{"le", bound}, {"count", h.count_at_most(unscaled(bound, options.scale))}});
}

nlohmann::ordered_json series_json(const series_snapshot& s, const histogram_options& options) {
  nlohmann::ordered_json out;
  auto& labels = out["labels"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : s.labels)
    labels[name] = value;
  if (const auto* n = std::get_if<std::uint64_t>(&s.value))
    out["value"] = *n;
  else if (const auto* i = std::get_if<std::int64_t>(&s.value))
    out["value"] = *i;
  else if (const auto* d = std::get_if<double>(&s.value))
    out["value"] = finite(*d);
  else
    add_histogram(out, *std::get<shared_histogram>(s.value), options);
  return out;
}

} // namespace

std::string prometheus_text(const registry& metrics) {
  text_writer out;
  for (const auto& f : metrics.collect())
    out.family(f);
  return out.take();
}

std::string json_text(const registry& metrics) {
  auto page = nlohmann::ordered_json::object();
  for (const auto& f : metrics.collect()) {
    auto& entry = page[f.name];
    entry["type"] = name_of(f.kind);
    entry["help"] = f.help;
    auto& all = entry["series"] = nlohmann::ordered_json::array();
    for (const auto& s : f.series)
      all.push_back(series_json(s, f.options));
  }
  return page.dump();
}

} // namespace skep::telemetry
