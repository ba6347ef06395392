#pragma once

#include <cstdint>
#include <limits>

namespace skep::flow {

/// A seeded generator of 8 bytes (SplitMix64: Steele, Lea, Flood, OOPSLA 2014), fit for jitter and
/// sampling, not for secrets. Not thread-safe: every thread or actor owns one.
class rng {
public:
  using result_type = std::uint64_t;

  explicit rng(std::uint64_t seed) noexcept : state_(seed) {}

  static constexpr result_type min() noexcept {
    return 0;
  }
  static constexpr result_type max() noexcept {
    return std::numeric_limits<result_type>::max();
  }

  /// The next 64 bits.
  result_type operator()() noexcept {
    state_ += 0x9e37'79b9'7f4a'7c15;
    auto z = state_;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }

  /// A number in [0, bound); 0 for bound 0. The bias is at most bound / 2^32.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((*this)() >> 32) * bound >> 32);
  }

  /// A number in [0, 1) with 53 random bits.
  double uniform() noexcept {
    return static_cast<double>((*this)() >> 11) * 0x1.0p-53;
  }

private:
  std::uint64_t state_;
};

} // namespace skep::flow
