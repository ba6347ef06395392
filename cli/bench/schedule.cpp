#include "cli/bench/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace skep::cli::bench {

arrival_schedule::arrival_schedule(time_point start, double rate_per_s, duration length)
  : start_(start), seconds_between_(1 / rate_per_s), length_(length) {}

std::optional<time_point> arrival_schedule::next() const {
  const auto offset = std::chrono::duration_cast<duration>(
    std::chrono::duration<double>{static_cast<double>(number_) * seconds_between_});
  if (offset >= length_)
    return std::nullopt;
  return start_ + offset;
}

prompt_source::prompt_source(const phase_config& phase, std::uint64_t seed)
  : phase_(phase), random_(seed), seed_(seed) {
  if (phase.prompts != prompt_mix::zipf)
    return;
  double sum = 0;
  for (std::uint32_t k = 1; k <= phase.zipf_keys; ++k)
    popularity_.push_back(sum += 1 / std::pow(k, phase.zipf_exponent));
}

std::string prompt_source::next() {
  const auto number = number_++;
  switch (phase_.prompts) {
    case prompt_mix::list: return phase_.prompt_list[number % phase_.prompt_list.size()];
    case prompt_mix::zipf: {
      const auto at = random_.uniform() * popularity_.back();
      const auto key = std::lower_bound(popularity_.begin(), popularity_.end(), at);
      return "prompt " + std::to_string(key - popularity_.begin());
    }
    case prompt_mix::unique: break;
  }
  return "request " + std::to_string(number) + " of " + phase_.name + " with seed "
         + std::to_string(seed_);
}

bool prompt_source::stream() {
  return random_.uniform() < phase_.stream_share;
}

} // namespace skep::cli::bench
