#include "runtime/telemetry/registry.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/utf8.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

namespace skep::telemetry {

struct registration::callback {
  std::mutex mutex;
  std::function<double()> read; // GUARDED_BY(mutex); empty once the registration is gone.
};

namespace {

using counter_ptr = std::unique_ptr<telemetry::counter>;
using gauge_ptr = std::unique_ptr<telemetry::gauge>;
using histogram_ptr = std::unique_ptr<telemetry::histogram>;
using callback_ptr = std::weak_ptr<registration::callback>;

/// Where a series' value comes from; nothing only while it is being made.
using series_source
  = std::variant<std::monostate, counter_ptr, gauge_ptr, histogram_ptr, callback_ptr>;

struct family {
  metric_kind kind = metric_kind::counter;
  std::string help;
  histogram_options options;
  std::map<label_set, series_source> series;
};

/// A sample to be: a value already read, or a callback still to be run.
struct pending {
  label_set labels;
  std::variant<std::uint64_t, std::int64_t, shared_histogram,
               std::shared_ptr<registration::callback>>
    source;
};

bool is_name(std::string_view name, bool colon_allowed) noexcept {
  const auto is_first = [colon_allowed](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'
           || (c == ':' && colon_allowed);
  };
  return !name.empty() && is_first(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_first(c) || (c >= '0' && c <= '9');
  });
}

/// The labels in the one order that identifies a series, their values as clean UTF-8: a single bad
/// byte would make Prometheus refuse the whole page.
label_set canonical(label_set labels, metric_kind kind) {
  for (auto& [name, value] : labels) {
    SKEP_ASSERT(is_name(name, false) && !name.starts_with("__"));
    SKEP_ASSERT(kind != metric_kind::histogram || name != "le");
    value = utf8_repaired(value);
  }
  std::sort(labels.begin(), labels.end());
  const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
  SKEP_ASSERT(std::adjacent_find(labels.begin(), labels.end(), same_name) == labels.end());
  return labels;
}

/// The names a metric takes in the exposition.
std::vector<std::string> exposed_names(const std::string& name, metric_kind kind) {
  if (kind != metric_kind::histogram)
    return {name};
  std::vector<std::string> names{name};
  for (const char* suffix : {"_bucket", "_sum", "_count", "_p50", "_p95", "_p99"})
    names.push_back(name + suffix);
  return names;
}

bool is_gone(const series_source& source) {
  const auto* callback = std::get_if<callback_ptr>(&source);
  return callback != nullptr && callback->expired();
}

std::optional<pending> read_now(const label_set& labels, const series_source& source) {
  if (const auto* c = std::get_if<counter_ptr>(&source))
    return pending{labels, (*c)->value()};
  if (const auto* g = std::get_if<gauge_ptr>(&source))
    return pending{labels, (*g)->value()};
  if (const auto* h = std::get_if<histogram_ptr>(&source))
    return pending{labels, std::make_shared<const local_histogram>((*h)->snapshot())};
  if (const auto* weak = std::get_if<callback_ptr>(&source))
    if (auto callback = weak->lock())
      return pending{labels, std::move(callback)};
  return std::nullopt;
}

/// What the callback says; nothing when it is gone or throws.
std::optional<double> run(registration::callback& callback) noexcept try {
  const std::lock_guard lock{callback.mutex};
  return callback.read ? std::optional{callback.read()} : std::nullopt;
} catch (...) {
  return std::nullopt;
}

std::optional<series_snapshot> finish(pending&& p) {
  if (auto* callback = std::get_if<std::shared_ptr<registration::callback>>(&p.source)) {
    const auto value = run(**callback);
    return value ? std::optional{series_snapshot{std::move(p.labels), *value}} : std::nullopt;
  }
  series_snapshot out{std::move(p.labels), {}};
  if (auto* n = std::get_if<std::uint64_t>(&p.source))
    out.value = *n;
  else if (auto* i = std::get_if<std::int64_t>(&p.source))
    out.value = *i;
  else
    out.value = std::move(std::get<shared_histogram>(p.source));
  return out;
}

} // namespace

struct registry::impl {
  explicit impl(registry_config c) : config(c) {}

  family& family_of(std::string_view name, std::string_view help, metric_kind kind,
                    histogram_options&& options);
  series_source* series_of(family& f, const label_set& labels);
  template <class Handle>
  Handle& handle(std::string_view name, std::string_view help, metric_kind kind, label_set&& labels,
                 histogram_options options = {});
  registration callback(std::string_view name, std::string_view help, metric_kind kind,
                        label_set&& labels, std::function<double()>&& read);

  const registry_config config;
  std::mutex mutex;
  std::map<std::string, family, std::less<>> families; // GUARDED_BY(mutex)
  std::map<std::string, std::string> owners;           // GUARDED_BY(mutex): exposed name to metric.
  telemetry::counter* refused = nullptr;
};

family& registry::impl::family_of(std::string_view name, std::string_view help, metric_kind kind,
                                  histogram_options&& options) {
  if (const auto it = families.find(name); it != families.end()) {
    SKEP_ASSERT(it->second.kind == kind);
    return it->second;
  }
  SKEP_ASSERT(is_name(name, true));
  SKEP_ASSERT(std::is_sorted(options.boundaries.begin(), options.boundaries.end()));
  SKEP_ASSERT(options.scale > 0);
  const std::string owner{name};
  for (auto& exposed : exposed_names(owner, kind)) {
    const auto is_new = owners.emplace(std::move(exposed), owner).second;
    SKEP_ASSERT(is_new);
  }
  return families.emplace(owner, family{kind, utf8_repaired(help), std::move(options), {}})
    .first->second;
}

/// The series with these labels, made if it is new; null past the bound.
series_source* registry::impl::series_of(family& f, const label_set& labels) {
  if (const auto it = f.series.find(labels); it != f.series.end())
    return &it->second;
  if (f.series.size() >= config.series_max)
    std::erase_if(f.series, [](const auto& entry) { return is_gone(entry.second); });
  if (f.series.size() < config.series_max)
    return &f.series[labels];
  refused->inc();
  return nullptr;
}

template <class Handle>
Handle& registry::impl::handle(std::string_view name, std::string_view help, metric_kind kind,
                               label_set&& labels, histogram_options options) {
  using handle_ptr = std::unique_ptr<Handle>;
  const std::lock_guard lock{mutex};
  auto& f = family_of(name, help, kind, std::move(options));
  auto* source = series_of(f, canonical(std::move(labels), kind));
  if (source == nullptr)
    source = &f.series[{{"overflow", "true"}}];
  if (std::holds_alternative<std::monostate>(*source))
    *source = std::make_unique<Handle>();
  SKEP_ASSERT(std::holds_alternative<handle_ptr>(*source));
  return *std::get<handle_ptr>(*source);
}

registration registry::impl::callback(std::string_view name, std::string_view help,
                                      metric_kind kind, label_set&& labels,
                                      std::function<double()>&& read) {
  auto made = std::make_shared<registration::callback>();
  made->read = std::move(read);
  const std::lock_guard lock{mutex};
  auto* source = series_of(family_of(name, help, kind, {}), canonical(std::move(labels), kind));
  if (source == nullptr)
    return registration{};
  SKEP_ASSERT(std::holds_alternative<callback_ptr>(*source)
              || std::holds_alternative<std::monostate>(*source));
  *source = callback_ptr{made};
  return registration{std::move(made)};
}

registration::registration(std::shared_ptr<callback> what) : callback_(std::move(what)) {}

registration& registration::operator=(registration&& other) noexcept {
  // The old callback ends with `old`, after this has taken over.
  registration old{std::move(callback_)};
  callback_ = std::move(other.callback_);
  return *this;
}

registration::~registration() {
  if (!callback_)
    return;
  const std::lock_guard lock{callback_->mutex};
  callback_->read = nullptr;
}

std::vector<double> duration_boundaries() {
  std::vector<double> bounds;
  for (int i = 0; i < 14; ++i)
    bounds.push_back(static_cast<double>(1 << i) / 100.0);
  return bounds;
}

registry::registry(registry_config config) : impl_(std::make_unique<impl>(config)) {
  SKEP_ASSERT(config.series_max > 0);
  impl_->refused = &counter("skep_telemetry_series_refused_total",
                            "Registrations past a metric's series_max, which share one series.");
}

registry::~registry() = default;

telemetry::counter& registry::counter(std::string_view name, std::string_view help,
                                      label_set labels) {
  return impl_->handle<telemetry::counter>(name, help, metric_kind::counter, std::move(labels));
}

telemetry::gauge& registry::gauge(std::string_view name, std::string_view help, label_set labels) {
  return impl_->handle<telemetry::gauge>(name, help, metric_kind::gauge, std::move(labels));
}

telemetry::histogram& registry::histogram(std::string_view name, std::string_view help,
                                          label_set labels, histogram_options options) {
  return impl_->handle<telemetry::histogram>(name, help, metric_kind::histogram, std::move(labels),
                                             std::move(options));
}

registration registry::gauge_callback(std::string_view name, std::string_view help,
                                      label_set labels, std::function<double()> read) {
  return impl_->callback(name, help, metric_kind::gauge, std::move(labels), std::move(read));
}

registration registry::counter_callback(std::string_view name, std::string_view help,
                                        label_set labels, std::function<double()> read) {
  return impl_->callback(name, help, metric_kind::counter, std::move(labels), std::move(read));
}

std::vector<family_snapshot> registry::collect() const {
  return collect_if([](std::string_view) { return true; });
}

std::vector<family_snapshot>
registry::collect_if(const std::function<bool(std::string_view name)>& wanted) const {
  std::vector<family_snapshot> out;
  std::vector<std::vector<pending>> waiting;
  {
    const std::lock_guard lock{impl_->mutex};
    for (const auto& [name, f] : impl_->families) {
      if (!wanted(name))
        continue;
      out.push_back({name, f.help, f.kind, f.options, {}});
      auto& samples = waiting.emplace_back();
      for (const auto& [labels, source] : f.series)
        if (auto sample = read_now(labels, source))
          samples.push_back(std::move(*sample));
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    for (auto& sample : waiting[i])
      if (auto done = finish(std::move(sample)))
        out[i].series.push_back(std::move(*done));
  std::erase_if(out, [](const family_snapshot& f) { return f.series.empty(); });
  return out;
}

} // namespace skep::telemetry
