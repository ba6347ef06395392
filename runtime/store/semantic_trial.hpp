#pragma once

#include <cstddef>
#include <vector>

namespace skep::store {

/// The upper end of Wilson's interval at 95 % for a share of `wrong` in `n` (Wilson, JASA 22,
/// 1927); 1 for n = 0. Without any error 381 samples bring it below 1 %.
double wilson_upper(std::size_t wrong, std::size_t n);

/// Bounds of a trial.
struct trial_config {
  /// The share of false hits that may be served.
  double budget = 0.01;
  /// Comparisons needed before anything is served.
  std::size_t samples_min = 381;
  /// Comparisons remembered: what is older says nothing about today.
  std::size_t window_max = 1000;
};

/// Whether a route's would-be hits have proved good enough to be served: the upper bound of the
/// false share among the latest comparisons lies below the budget. Until then, and again when it no
/// longer does, the route runs in shadow. Pure; not thread-safe.
class semantic_trial {
public:
  explicit semantic_trial(trial_config config);

  /// A would-be hit was compared with the real answer.
  void add(bool right);
  /// May serve.
  bool passed() const;
  /// The measured share of false hits in the window; 0 without any comparison.
  double false_ratio() const;
  /// Its upper bound.
  double bound() const;
  std::size_t size() const {
    return size_;
  }

private:
  trial_config config_;
  std::vector<bool> wrong_;
  std::size_t next_ = 0;
  std::size_t size_ = 0;
  std::size_t errors_ = 0;
};

} // namespace skep::store
