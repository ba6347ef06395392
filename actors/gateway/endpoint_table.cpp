#include "actors/gateway/endpoint_table.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

/// Why this cannot be served; empty when it can.
std::string fault_of(const rt::http_endpoint& what, const endpoint_table& before) {
  const bool below = what.path.size() > 1 && what.path.ends_with('/');
  const auto path = below ? what.path.substr(0, what.path.size() - 1) : what.path;
  if (!path.starts_with('/') || normal_path(path) != path)
    return "must be a path as clients ask for it: with one slash at its beginning and between its "
           "parts, and, for what is below /v1, that in front";
  if (what.methods.empty() || !what.served_by)
    return "needs methods and an actor that serves it";
  const auto& there = before.find(what.path);
  const bool other = there.what == endpoint::unknown
                     || (there.what == endpoint::registered && there.path != what.path);
  if (!other)
    return "is served by somebody else already";
  return {};
}

} // namespace

endpoint_table::endpoint_table() {
  for (std::size_t n = 0; n < own_.size(); ++n) {
    const auto what = static_cast<endpoint>(n);
    own_[n] = {what, label_of(what), methods_of(what), access_of(what), {}};
  }
}

expected<std::shared_ptr<const endpoint_table>>
endpoint_table::make(const std::vector<rt::http_endpoint>& registered) {
  auto made = std::make_shared<endpoint_table>();
  for (const auto& each : registered) {
    if (const auto fault = fault_of(each, *made); !fault.empty())
      return fail(errc::bad_config, "the HTTP endpoint \"" + each.path + "\" " + fault);
    const auto& kept = *made->kept_.emplace_back(std::make_unique<const rt::http_endpoint>(each));
    made->others_.push_back(
      {endpoint::registered, kept.path, kept.methods, kept.who, kept.served_by});
    std::stable_sort(made->others_.begin(), made->others_.end(),
                     [](const auto& a, const auto& b) { return a.path.size() > b.path.size(); });
  }
  return std::shared_ptr<const endpoint_table>{std::move(made)};
}

const served_endpoint& endpoint_table::find(std::string_view path) const {
  if (const auto what = endpoint_of(path); what != endpoint::unknown)
    return own_[static_cast<std::size_t>(what)];
  const auto found = std::find_if(others_.begin(), others_.end(), [&](const auto& each) {
    return each.path == path || (each.path.ends_with('/') && path.starts_with(each.path));
  });
  return found != others_.end() ? *found : own_[static_cast<std::size_t>(endpoint::unknown)];
}

} // namespace skep::actors
