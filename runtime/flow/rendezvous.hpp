#pragma once

#include <cmath>
#include <cstdint>

namespace skep::flow {

/// Spreads a pair of ids over all 64 bits; the same on every machine and in every release, because
/// ownership hangs on it.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  auto z = a ^ (b + 0x9e37'79b9'7f4a'7c15 + (a << 6) + (a >> 2));
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

/// How much `member` wants `key`: the member with the highest score owns it (weighted rendezvous:
/// Schindelhauer and Schomaker, 2005). Shares of keys are exactly by weight, and a member's coming
/// or going moves only its own keys. `weight` above zero; both ids well mixed or not.
inline double rendezvous_score(std::uint64_t key, std::uint64_t member, double weight) noexcept {
  // In (0, 1): half a step is added so that the logarithm is finite and not zero.
  auto u = (static_cast<double>(mix(mix(key, 0), member) >> 12) + 0.5) * 0x1.0p-52;
  return weight / -std::log(u);
}

} // namespace skep::flow
