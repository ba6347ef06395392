#include "runtime/store/semantic_trial.hpp"

#include <algorithm>
#include <cmath>

namespace skep::store {

double wilson_upper(std::size_t wrong, std::size_t n) {
  if (n == 0)
    return 1;
  constexpr double z = 1.959964; // 95 %, two sides.
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(wrong) / count;
  const double middle = share + z * z / (2 * count);
  const double spread = z * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return std::min(1.0, (middle + spread) / (1 + z * z / count));
}

semantic_trial::semantic_trial(trial_config config)
  : config_(config), wrong_(std::max<std::size_t>(1, config.window_max)) {}

void semantic_trial::add(bool right) {
  if (size_ == wrong_.size())
    errors_ -= wrong_[next_] ? 1 : 0;
  else
    ++size_;
  wrong_[next_] = !right;
  errors_ += right ? 0 : 1;
  next_ = (next_ + 1) % wrong_.size();
}

bool semantic_trial::passed() const {
  return size_ >= config_.samples_min && bound() < config_.budget;
}

double semantic_trial::false_ratio() const {
  return size_ == 0 ? 0 : static_cast<double>(errors_) / static_cast<double>(size_);
}

double semantic_trial::bound() const {
  return wilson_upper(errors_, size_);
}

} // namespace skep::store
