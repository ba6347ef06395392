#include "runtime/store/response_store.hpp"

#include <utility>

namespace skep::store {

namespace {

// Expiry is exact on get; the wheel only frees memory.
constexpr duration wheel_tick = 100ms;
// A hash node with its bucket, the shared string's control block, the timer's node.
constexpr std::size_t index_bytes = 56;
constexpr std::size_t value_block_bytes = 16 + sizeof(std::string);
constexpr std::size_t timer_bytes = 32;

} // namespace

response_store::response_store(store_config config, time_point now)
  : config_(config), policy_(make_policy(config.policy)), wheel_(now, wheel_tick) {}

std::size_t response_store::overhead() const {
  return sizeof(entry) + index_bytes + value_block_bytes + timer_bytes + policy_->bytes_per_entry();
}

std::optional<response_store::found> response_store::get(const key128& key, time_point now,
                                                         duration age_max) {
  const auto known = index_.find(key);
  if (known == index_.end()) {
    ++stats_.misses;
    return std::nullopt;
  }
  const auto& e = entries_[known->second];
  if (e.expires <= now) {
    ++stats_.misses;
    ++stats_.expired;
    policy_->erased(known->second);
    remove(known->second);
    return std::nullopt;
  }
  const auto age = now - e.stored;
  if (age_max > duration::zero() && age > age_max) {
    ++stats_.misses;
    return std::nullopt;
  }
  ++stats_.hits;
  policy_->touched(known->second);
  return found{e.value, age, e.expires - now};
}

bool response_store::put(const key128& key, std::string value, duration ttl, time_point now,
                         duration age) {
  value.shrink_to_fit();
  const auto bytes = cost(value);
  if (ttl <= duration::zero() || value.size() > config_.value_bytes_max || bytes > config_.bytes_max
      || config_.entries_max == 0) {
    ++stats_.refused;
    return false;
  }
  expire(now);
  erase(key);
  make_room(bytes);
  slot at = no_slot;
  if (free_.empty()) {
    at = static_cast<slot>(entries_.size());
    entries_.emplace_back();
  } else {
    at = free_.back();
    free_.pop_back();
  }
  auto& e = entries_[at];
  e.key = key;
  e.value = std::make_shared<const std::string>(std::move(value));
  e.stored = now - age;
  e.expires = now + ttl;
  e.timer = wheel_.add(e.expires, at);
  index_.emplace(key, at);
  policy_->inserted(at, key.high ^ key.low);
  stats_.bytes += bytes;
  ++stats_.stored;
  return true;
}

std::optional<response_store::found> response_store::peek(const key128& key, time_point now) const {
  const auto known = index_.find(key);
  if (known == index_.end() || entries_[known->second].expires <= now)
    return std::nullopt;
  const auto& e = entries_[known->second];
  return found{e.value, now - e.stored, e.expires - now};
}

std::vector<key128> response_store::keys(const std::function<bool(const key128&)>& wanted) const {
  std::vector<key128> chosen;
  for (const auto& [key, at] : index_)
    if (wanted(key))
      chosen.push_back(key);
  return chosen;
}

void response_store::make_room(std::size_t bytes) {
  while (stats_.bytes + bytes > config_.bytes_max || index_.size() >= config_.entries_max) {
    const auto victim = policy_->victim();
    if (victim == no_slot)
      return;
    ++stats_.evicted;
    remove(victim);
  }
}

bool response_store::erase(const key128& key) {
  const auto known = index_.find(key);
  if (known == index_.end())
    return false;
  policy_->erased(known->second);
  remove(known->second);
  return true;
}

/// The policy has forgotten the entry already.
void response_store::remove(slot at) {
  auto& e = entries_[at];
  stats_.bytes -= cost(*e.value);
  wheel_.cancel(e.timer);
  index_.erase(e.key);
  e = {};
  free_.push_back(at);
}

void response_store::expire(time_point now) {
  wheel_.advance(now, [this](slot& at) {
    ++stats_.expired;
    policy_->erased(at);
    remove(at);
  });
}

void response_store::clear() {
  while (!index_.empty())
    erase(index_.begin()->first);
  policy_->clear();
}

store_stats response_store::stats() const {
  auto s = stats_;
  s.entries = index_.size();
  return s;
}

} // namespace skep::store
