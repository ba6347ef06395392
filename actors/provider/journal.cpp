#include "actors/provider/journal.hpp"

#include "runtime/base/log.hpp"

#include <utility>

namespace skep::actors {

namespace {

using log::field;

} // namespace

journal::journal(std::string provider, std::string address)
  : provider_(std::move(provider)), address_(std::move(address)) {}

void journal::failed(const failure& why, time_point now) {
  const auto index = static_cast<std::size_t>(why.code);
  if (index >= kinds_.size())
    return;
  auto& known = kinds_[index];
  if (known.told || now < known.next)
    return;
  known = {true, now + quiet};
  troubled_ = true;
  log::tell(log::level::warn, {}, "provider in trouble",
            std::array{field{"provider", provider_}, field{"address", address_},
                       field{"error", to_string(why.code)}, field{"reason", why.detail}});
}

bool journal::tells_of(errc code) const {
  const auto index = static_cast<std::size_t>(code);
  return index < kinds_.size() && kinds_[index].told;
}

void journal::answered() {
  if (!std::exchange(troubled_, false))
    return;
  for (auto& each : kinds_)
    each.told = false;
  log::tell(log::level::info, {}, "provider answers again",
            std::array{field{"provider", provider_}, field{"address", address_}});
}

void journal::budget_spent(time_point now) {
  if (now < next_budget_)
    return;
  next_budget_ = now + quiet;
  log::tell(log::level::warn, {}, "retry budget spent: failed calls are not tried again",
            std::array{field{"provider", provider_}, field{"address", address_}});
}

} // namespace skep::actors
