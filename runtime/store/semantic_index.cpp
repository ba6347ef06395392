#include "runtime/store/semantic_index.hpp"

#include <algorithm>

namespace skep::store {

namespace {

// What the list and the map keep around an entry (links, buckets), and its record of comparisons.
constexpr std::size_t node_bytes = 160;
constexpr std::size_t partition_bytes = 256;
constexpr float thousand = 1000;
// A cosine of bytes that should be 0.9 may come out a rounding below it.
constexpr float rounding = 1e-5f;

} // namespace

semantic_index::semantic_index(index_config config) : config_(config) {}

semantic_index::~semantic_index() = default;

void semantic_index::scan(const region& in, const byte_vector& vector, float at_least) {
  scores_.clear();
  const auto blocks = stride_ / byte_vector::block;
  const auto* row = in.values.data();
  for (std::size_t n = 0; n < in.rows.size(); ++n, row += stride_) {
    const auto product = static_cast<float>(dot(row, vector.values.data(), blocks));
    const float cosine = product * in.inverse_lengths[n] * vector.inverse_length + rounding;
    if (cosine >= at_least)
      scores_.push_back({cosine, n});
  }
}

std::optional<semantic_index::found>
semantic_index::find(const key128& partition, const byte_vector& vector,
                     const guard_signature& guard, guard_rule rule, std::uint32_t similarity_min,
                     time_point now) {
  const auto home = partitions_.find(partition);
  if (home == partitions_.end() || vector.empty() || vector.values.size() != stride_)
    return std::nullopt;
  const auto& in = *home->second;
  scan(in, vector, static_cast<float>(similarity_min) / thousand);
  const auto shown
    = static_cast<std::ptrdiff_t>(std::min(config_.guard_checks_max, scores_.size()));
  std::partial_sort(scores_.begin(), scores_.begin() + shown, scores_.end(),
                    [](const scored& a, const scored& b) { return a.cosine > b.cosine; });
  for (auto each = scores_.begin(); each != scores_.begin() + shown; ++each) {
    const auto match = in.rows[each->row];
    if (match->expires_at <= now)
      continue; // expire() takes it away.
    if (!agree(match->guard, guard, rule)) {
      ++stats_.guarded;
      continue;
    }
    entries_.splice(entries_.begin(), entries_, match);
    const auto similarity = std::min(each->cosine, 1.0f) * thousand;
    return found{match->key, static_cast<std::uint32_t>(similarity)};
  }
  return std::nullopt;
}

bool semantic_index::learn(const key128& partition, const key128& key, byte_vector vector,
                           guard_signature guard, time_point now) {
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    known->second->expires_at = now + config_.ttl;
    entries_.splice(entries_.begin(), entries_, known->second);
    return true;
  }
  const bool fits = stride_ == 0 || vector.values.size() == stride_;
  const auto bytes = sizeof(entry) + node_bytes + guard.bytes() + vector.values.size()
                     + sizeof(float) + sizeof(place);
  if (vector.empty() || !fits || revoked(key) || bytes + partition_bytes > config_.bytes_max) {
    ++stats_.refused;
    return false;
  }
  stride_ = vector.values.size();
  stats_.bytes += bytes;
  auto& home = partitions_[partition];
  if (!home) {
    home = std::make_unique<region>();
    home->key = partition;
    stats_.bytes += partition_bytes;
  }
  entries_.push_front(
    {key, home.get(), home->rows.size(), std::move(guard), {}, now + config_.ttl, bytes});
  by_key_.emplace(key, entries_.begin());
  // An eighth more at a time: doubling would hold up to twice of what is counted.
  if (home->values.size() == home->values.capacity())
    home->values.reserve(home->values.size() + (home->rows.size() / 8 + 1) * stride_);
  home->values.insert(home->values.end(), vector.values.begin(), vector.values.end());
  home->inverse_lengths.push_back(vector.inverse_length);
  home->rows.push_back(entries_.begin());
  ++stats_.stored;
  stats_.entries = entries_.size();
  stats_.partitions = partitions_.size();
  make_room(*home);
  return true;
}

/// The newest entry is the last to go, so its partition stays.
void semantic_index::make_room(const region& in) {
  if (in.rows.size() > config_.partition_entries_max) {
    erase(oldest_of(in));
    ++stats_.evicted;
  }
  while (entries_.size() > config_.entries_max
         || stats_.bytes + partition_bytes > config_.bytes_max) {
    erase(std::prev(entries_.end()));
    ++stats_.evicted;
  }
}

/// The one of the partition that comes last in the order of use. Walking from the list's end finds
/// it at once when partitions are used alike, and after all entries at worst.
semantic_index::place semantic_index::oldest_of(const region& in) const {
  auto each = by_key_.at(entries_.back().key);
  while (each->home != &in)
    --each;
  return each;
}

void semantic_index::erase(place what) {
  auto& home = *what->home;
  const auto row = what->row;
  const auto last = home.rows.size() - 1;
  const auto stride = static_cast<std::ptrdiff_t>(stride_);
  if (row != last) {
    const auto from = home.values.begin() + static_cast<std::ptrdiff_t>(last) * stride;
    std::copy(from, from + stride, home.values.begin() + static_cast<std::ptrdiff_t>(row) * stride);
    home.inverse_lengths[row] = home.inverse_lengths[last];
    home.rows[row] = home.rows[last];
    home.rows[row]->row = row;
  }
  home.values.resize(last * stride_);
  home.inverse_lengths.pop_back();
  home.rows.pop_back();
  stats_.bytes -= what->bytes;
  if (home.rows.empty()) {
    const auto key = home.key; // The partition ends with its place in the map.
    partitions_.erase(key);
    stats_.bytes -= partition_bytes;
  }
  by_key_.erase(what->key);
  entries_.erase(what);
  stats_.entries = entries_.size();
  stats_.partitions = partitions_.size();
}

similarity_record* semantic_index::record_of(const key128& key) {
  const auto known = by_key_.find(key);
  return known == by_key_.end() ? nullptr : &known->second->record;
}

void semantic_index::revoke(const key128& key) {
  if (const auto known = by_key_.find(key); known != by_key_.end())
    erase(known->second);
  if (!revoked_.insert(key).second)
    return;
  revoked_order_.push_back(key);
  if (revoked_order_.size() > config_.revoked_max) {
    revoked_.erase(revoked_order_.front());
    revoked_order_.pop_front();
  }
}

void semantic_index::expire(time_point now) {
  for (auto each = entries_.begin(); each != entries_.end();) {
    const auto here = each++;
    if (here->expires_at > now)
      continue;
    erase(here);
    ++stats_.expired;
  }
}

} // namespace skep::store
