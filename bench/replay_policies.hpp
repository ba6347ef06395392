#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace skep::bench {

/// SIEVE (Zhang et al., NSDI 2024), for comparison: one queue in order of arrival, a visited bit
/// per entry, and a hand that goes from the oldest to the newest, clears the bits it meets and
/// evicts the first entry without one. A hit moves nothing.
class sieve {
public:
  /// `entries_max` > 0.
  explicit sieve(std::size_t entries_max);
  /// Asks for the key and takes it in when it is missing; true for a hit.
  bool ask(std::uint32_t key);

private:
  struct entry {
    std::uint32_t key;
    bool visited;
  };
  void evict();

  std::size_t entries_max_;
  std::list<entry> queue_; // Newest first.
  std::list<entry>::iterator hand_;
  std::unordered_map<std::uint32_t, std::list<entry>::iterator> index_;
};

/// Estimates how often a key was asked for lately: a count-min sketch of four rows of 4-bit
/// counters (a byte each here, saturating at 15) that are halved after ten times as many
/// additions as there are entries (Einziger et al., TinyLFU, ACM ToS 2017).
class frequency_sketch {
public:
  explicit frequency_sketch(std::size_t entries_max);
  void add(std::uint32_t key);
  std::uint8_t estimate(std::uint32_t key) const;

private:
  static constexpr std::size_t rows = 4;
  static constexpr std::uint8_t count_max = 15;

  std::size_t place(std::size_t row, std::uint32_t key) const;

  std::size_t width_; // A power of two.
  std::size_t additions_max_;
  std::size_t additions_ = 0;
  std::vector<std::uint8_t> counts_;
};

/// W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017) with Caffeine's proportions, for comparison:
/// an LRU window of 1 %, and a main part of two LRU queues (80 % protected, the rest on probation).
/// What leaves the window enters main when the sketch has seen it more often than main's victim.
/// Without Caffeine's later additions (adaptive window, random admission of warm candidates).
class w_tiny_lfu {
public:
  /// `entries_max` > 1.
  explicit w_tiny_lfu(std::size_t entries_max);
  /// Asks for the key and takes it in when it is missing; true for a hit.
  bool ask(std::uint32_t key);

private:
  enum class part : std::uint8_t { window, probation, protect };
  struct place {
    part in;
    std::list<std::uint32_t>::iterator at;
  };

  std::list<std::uint32_t>& queue(part which) {
    return queues_[static_cast<std::size_t>(which)];
  }
  void move(place& from, part to);
  void hit(place& where);
  void admit();

  std::size_t window_max_;
  std::size_t main_max_;
  std::size_t protected_max_;
  frequency_sketch sketch_;
  std::list<std::uint32_t> queues_[3]; // Most recently used first.
  std::unordered_map<std::uint32_t, place> index_;
};

/// Hits of the optimal policy that takes in every missing key (Belady 1966): evicts what is asked
/// for again last. The bound for the others; it needs the whole trace.
std::size_t optimal_hits(std::span<const std::uint32_t> trace, std::size_t entries_max);

} // namespace skep::bench
