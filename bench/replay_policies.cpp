#include "bench/replay_policies.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

namespace skep::bench {

sieve::sieve(std::size_t entries_max) : entries_max_(entries_max), hand_(queue_.end()) {}

bool sieve::ask(std::uint32_t key) {
  if (const auto known = index_.find(key); known != index_.end()) {
    known->second->visited = true;
    return true;
  }
  if (index_.size() >= entries_max_)
    evict();
  queue_.push_front({key, false});
  index_[key] = queue_.begin();
  return false;
}

/// The hand at the end means: begin with the oldest.
void sieve::evict() {
  const auto oldest = std::prev(queue_.end());
  auto at = hand_ == queue_.end() ? oldest : hand_;
  while (at->visited) {
    at->visited = false;
    at = at == queue_.begin() ? oldest : std::prev(at);
  }
  hand_ = at == queue_.begin() ? queue_.end() : std::prev(at);
  index_.erase(at->key);
  queue_.erase(at);
}

frequency_sketch::frequency_sketch(std::size_t entries_max)
  : width_(std::bit_ceil(std::max<std::size_t>(16, entries_max * 4))),
    additions_max_(entries_max * 10), counts_(rows * width_) {}

std::size_t frequency_sketch::place(std::size_t row, std::uint32_t key) const {
  // The finalizer of SplitMix64, another seed per row.
  auto mixed = key + (row + 1) * 0x9e37'79b9'7f4a'7c15ull;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9ull;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebull;
  return row * width_ + ((mixed ^ (mixed >> 31)) & (width_ - 1));
}

void frequency_sketch::add(std::uint32_t key) {
  for (std::size_t row = 0; row < rows; ++row) {
    auto& count = counts_[place(row, key)];
    if (count < count_max)
      ++count;
  }
  if (++additions_ < additions_max_)
    return;
  additions_ /= 2;
  for (auto& count : counts_)
    count = static_cast<std::uint8_t>(count / 2);
}

std::uint8_t frequency_sketch::estimate(std::uint32_t key) const {
  auto least = count_max;
  for (std::size_t row = 0; row < rows; ++row)
    least = std::min(least, counts_[place(row, key)]);
  return least;
}

w_tiny_lfu::w_tiny_lfu(std::size_t entries_max)
  : window_max_(std::max<std::size_t>(1, entries_max / 100)), main_max_(entries_max - window_max_),
    protected_max_(main_max_ * 8 / 10), sketch_(entries_max) {}

bool w_tiny_lfu::ask(std::uint32_t key) {
  sketch_.add(key);
  if (const auto known = index_.find(key); known != index_.end()) {
    hit(known->second);
    return true;
  }
  auto& window = queue(part::window);
  window.push_front(key);
  index_[key] = {part::window, window.begin()};
  if (window.size() > window_max_)
    admit();
  return false;
}

void w_tiny_lfu::move(place& from, part to) {
  auto& target = queue(to);
  target.splice(target.begin(), queue(from.in), from.at);
  from.in = to;
}

void w_tiny_lfu::hit(place& where) {
  move(where, where.in == part::window ? part::window : part::protect);
  if (queue(part::protect).size() > protected_max_)
    move(index_[queue(part::protect).back()], part::probation);
}

/// The window's oldest against main's victim.
void w_tiny_lfu::admit() {
  const auto candidate = queue(part::window).back();
  move(index_[candidate], part::probation);
  if (queue(part::probation).size() + queue(part::protect).size() <= main_max_)
    return;
  auto loser = candidate;
  const auto victim = queue(part::probation).back();
  if (victim != candidate && sketch_.estimate(candidate) > sketch_.estimate(victim))
    loser = victim;
  const auto gone = index_.find(loser);
  queue(part::probation).erase(gone->second.at);
  index_.erase(gone);
}

std::size_t optimal_hits(std::span<const std::uint32_t> trace, std::size_t entries_max) {
  std::vector<std::size_t> next(trace.size());
  std::unordered_map<std::uint32_t, std::size_t> seen;
  for (auto n = trace.size(); n-- > 0;) {
    const auto later = seen.find(trace[n]);
    // Keys that are never asked for again come last, each at a place of its own.
    next[n] = later != seen.end() ? later->second : trace.size() + n;
    seen[trace[n]] = n;
  }
  std::set<std::size_t> due; // When each entry is asked for next.
  std::size_t hits = 0;
  for (std::size_t n = 0; n < trace.size(); ++n) {
    if (due.erase(n) != 0)
      ++hits;
    else if (due.size() >= entries_max)
      due.erase(std::prev(due.end()));
    due.insert(next[n]);
  }
  return hits;
}

} // namespace skep::bench
