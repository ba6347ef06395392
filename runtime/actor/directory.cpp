#include "runtime/actor/directory.hpp"

#include <mutex>

namespace skep::rt {

bool directory::add(std::string name, caf::actor who) {
  std::unique_lock guard{mutex_};
  changes_.fetch_add(1, std::memory_order_release);
  return entries_.emplace(std::move(name), std::move(who)).second;
}

void directory::remove(std::string_view name) {
  std::unique_lock guard{mutex_};
  changes_.fetch_add(1, std::memory_order_release);
  if (auto entry = entries_.find(name); entry != entries_.end())
    entries_.erase(entry);
}

caf::actor directory::find(std::string_view name) const {
  std::shared_lock guard{mutex_};
  const auto entry = entries_.find(name);
  return entry != entries_.end() ? entry->second : caf::actor{};
}

std::vector<std::string> directory::names(std::string_view prefix) const {
  std::shared_lock guard{mutex_};
  std::vector<std::string> found;
  for (auto entry = entries_.lower_bound(prefix); entry != entries_.end(); ++entry) {
    if (!entry->first.starts_with(prefix))
      break;
    found.push_back(entry->first);
  }
  return found;
}

void directory::clear() {
  decltype(entries_) gone;
  std::unique_lock guard{mutex_};
  changes_.fetch_add(1, std::memory_order_release);
  gone.swap(entries_);
}

} // namespace skep::rt
