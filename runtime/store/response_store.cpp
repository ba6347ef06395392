#include "runtime/store/response_store.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/store/value_codec.hpp"

#include <algorithm>
#include <utility>

namespace skep::store {

namespace {

// Expiry is exact on get; the wheel only frees memory.
constexpr duration wheel_tick = 100ms;
constexpr std::size_t slots_min = 4;
// The block std::make_shared makes: a vtable pointer, two counters, the string.
constexpr std::size_t block_bytes = heap_bytes(16 + sizeof(std::string));

/// Memory of a stored value; short strings are kept inside their block.
std::size_t value_bytes(const std::string& value) {
  static const auto inside = std::string{}.capacity();
  return block_bytes + (value.capacity() > inside ? heap_bytes(value.capacity() + 1) : 0);
}

duration scaled(duration by, double share) {
  return duration{static_cast<duration::rep>(static_cast<double>(by.count()) * share)};
}

/// The finalizer of SplitMix64.
std::uint64_t mixed(std::uint64_t n) {
  n = (n ^ (n >> 30)) * 0xbf58'476d'1ce4'e5b9ull;
  n = (n ^ (n >> 27)) * 0x94d0'49bb'1331'11ebull;
  return n ^ (n >> 31);
}

/// A number in [0, 1) that depends on the key and the time alone: two runs draw the same, two
/// entries or two times another one.
double drawn(const key128& key, time_point now) {
  const auto time = static_cast<std::uint64_t>(now.time_since_epoch().count());
  return static_cast<double>(mixed(mixed(mixed(time) + key.high) + key.low) >> 11) * 0x1.0p-53;
}

} // namespace

response_store::response_store(store_config config, time_point now)
  : config_(std::move(config)), policy_(make_policy(config_.policy)), now_(now),
    wheel_(std::in_place, now, wheel_tick) {
  config_.ttl_jitter = std::clamp(config_.ttl_jitter, 0.0, 0.5);
  config_.refresh_ahead = std::clamp(config_.refresh_ahead, 0.0, 1.0);
  config_.entries_max = std::min<std::size_t>(config_.entries_max, no_slot);
}

std::size_t response_store::overhead() const {
  const auto slots = std::max<std::size_t>(slots_, 1024);
  return block_bytes + (table_bytes(slots) + slots - 1) / slots;
}

std::size_t response_store::table_bytes(std::size_t slots) const {
  if (slots == 0)
    return 0;
  return heap_bytes(slots * sizeof(entry)) + heap_bytes(slots * sizeof(slot))
         + heap_bytes(slots * timer_wheel<slot>::bytes_per_timer) + slot_index::bytes(slots)
         + policy_->bytes(slots);
}

std::size_t response_store::bytes() const {
  return value_bytes_ + table_bytes(slots_);
}

// -- finding --------------------------------------------------------------------------------------

slot response_store::find(const key128& key) const {
  return index_.find(key128_hash{}(key), [&](slot at) { return entries_[at].key == key; });
}

std::optional<response_store::found> response_store::read(const entry& e, time_point now) const {
  found out{e.value, now - e.stored, {}, false, false, e.group, e.kind, e.cost};
  if (e.compressed) {
    auto value = config_.codec->decompress(*e.value, config_.value_bytes_max);
    if (!value)
      return std::nullopt;
    out.value = std::make_shared<const std::string>(std::move(*value));
  }
  out.stale = e.expires <= now;
  out.left = out.stale ? duration::zero() : e.expires - now;
  out.due = out.stale || (config_.refresh_ahead > 0 && e.due <= now);
  return out;
}

std::optional<response_store::found> response_store::get(const key128& key, time_point now,
                                                         duration age_max) {
  auto got = look_up(key, now, age_max);
  ++(got ? stats_.hits : stats_.misses);
  stats_.stale += got && got->stale ? 1 : 0;
  return got;
}

std::optional<response_store::found> response_store::look_up(const key128& key, time_point now,
                                                             duration age_max) {
  const auto at = find(key);
  if (at == no_slot)
    return std::nullopt;
  if (ends(entries_[at]) <= now) {
    ++stats_.expired;
    drop(at);
    return std::nullopt;
  }
  if (age_max > duration::zero() && now - entries_[at].stored > age_max)
    return std::nullopt;
  auto got = read(entries_[at], now);
  if (!got) {
    ++stats_.unreadable;
    drop(at);
    return std::nullopt;
  }
  policy_->touched(at);
  return got;
}

std::optional<response_store::found> response_store::peek(const key128& key, time_point now) const {
  const auto at = find(key);
  if (at == no_slot || ends(entries_[at]) <= now)
    return std::nullopt;
  return read(entries_[at], now);
}

std::vector<key128> response_store::keys(const std::function<bool(const key128&)>& wanted) const {
  std::vector<key128> chosen;
  for (const auto& each : entries_)
    if (each.value && wanted(each.key))
      chosen.push_back(each.key);
  return chosen;
}

// -- storing --------------------------------------------------------------------------------------

bool response_store::put(const key128& key, std::string value, const value_facts& facts,
                         time_point now) {
  if (facts.ttl <= duration::zero() || value.size() > config_.value_bytes_max
      || config_.entries_max == 0) {
    ++stats_.refused;
    return false;
  }
  entry added;
  added.key = key;
  if (auto frame = config_.codec ? config_.codec->compress(value) : std::nullopt) {
    stats_.plain_bytes += value.size();
    stats_.packed_bytes += frame->size();
    value = std::move(*frame);
    added.compressed = true;
  }
  value.shrink_to_fit();
  const auto bytes = value_bytes(value);
  if (bytes + table_bytes(std::max(slots_, slots_after(0))) > config_.bytes_max) {
    ++stats_.refused;
    return false;
  }
  expire(now);
  const bool again = erase(key);
  make_room(bytes);
  added.value = std::make_shared<const std::string>(std::move(value));
  added.group = facts.group;
  added.kind = facts.kind;
  added.cost = facts.cost;
  set_times(added, facts, now);
  insert(std::move(added), bytes, again);
  ++stats_.stored;
  return true;
}

void response_store::set_times(entry& added, const value_facts& facts, time_point now) const {
  const auto shorter = config_.ttl_jitter > 0
                         ? scaled(facts.ttl, config_.ttl_jitter * drawn(added.key, now))
                         : duration::zero();
  const auto fresh = std::max(facts.ttl - shorter, duration{1});
  added.stored = now - facts.age;
  added.expires = now + fresh;
  added.due = added.expires - scaled(fresh, config_.refresh_ahead);
}

/// How many slots there are when `slots` are full and one more is wanted.
std::size_t response_store::slots_after(std::size_t slots) const {
  // A quarter more: few copies, and little that is not used.
  return std::min(slots + std::max(slots_min, slots / 4), config_.entries_max);
}

/// Makes place for an entry with `bytes` of value: in the tables, too, which grow only while their
/// growth fits. An eviction leaves a slot, so then they need not.
void response_store::make_room(std::size_t bytes) {
  for (;;) {
    const auto slots = free_.empty() ? slots_after(slots_) : slots_;
    if (slots > slots_ || !free_.empty()) {
      if (value_bytes_ + bytes + table_bytes(slots) <= config_.bytes_max) {
        if (slots > slots_)
          grow(slots);
        return;
      }
    }
    const auto victim = policy_->victim();
    SKEP_ASSERT(victim != no_slot);
    ++stats_.evicted;
    remove(victim);
  }
}

void response_store::grow(std::size_t slots) {
  resize_exactly(entries_, slots);
  free_.reserve(slots);
  for (auto n = slots; n > slots_; --n)
    free_.push_back(static_cast<slot>(n - 1));
  index_.reserve(slots);
  wheel_->reserve(slots);
  policy_->reserve(slots);
  slots_ = slots;
}

void response_store::insert(entry added, std::size_t bytes, bool again) {
  const auto at = free_.back();
  free_.pop_back();
  added.timer = wheel_->add(ends(added), at);
  index_.insert(key128_hash{}(added.key), at);
  policy_->inserted(at, {added.key.high ^ added.key.low, bytes, added.cost, again});
  value_bytes_ += bytes;
  stats_.marked += added.kind != 0 ? 1 : 0;
  entries_[at] = std::move(added);
}

// -- forgetting -----------------------------------------------------------------------------------

bool response_store::erase(const key128& key) {
  const auto at = find(key);
  if (at != no_slot)
    drop(at);
  return at != no_slot;
}

std::size_t response_store::erase_group(std::uint64_t group) {
  std::size_t gone = 0;
  for (slot at = 0; group != 0 && at < entries_.size(); ++at) {
    if (!entries_[at].value || entries_[at].group != group)
      continue;
    drop(at);
    ++gone;
  }
  return gone;
}

void response_store::drop(slot at) {
  policy_->erased(at);
  remove(at);
}

/// The policy has forgotten the entry already.
void response_store::remove(slot at) {
  auto& e = entries_[at];
  value_bytes_ -= value_bytes(*e.value);
  stats_.marked -= e.kind != 0 ? 1 : 0;
  wheel_->cancel(e.timer);
  index_.erase(at);
  e = {};
  free_.push_back(at);
}

void response_store::expire(time_point now) {
  now_ = std::max(now_, now);
  wheel_->advance(now, [this](slot& at) {
    ++stats_.expired;
    drop(at);
  });
}

void response_store::clear() {
  policy_ = make_policy(config_.policy);
  wheel_.emplace(now_, wheel_tick);
  index_ = {};
  entries_ = {};
  free_ = {};
  slots_ = 0;
  value_bytes_ = 0;
  stats_.marked = 0;
}

store_stats response_store::stats() const {
  auto s = stats_;
  s.entries = slots_ - free_.size();
  s.bytes = bytes();
  return s;
}

} // namespace skep::store
