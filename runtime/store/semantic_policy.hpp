#pragma once

#include "runtime/store/semantic_index.hpp"
#include "runtime/store/semantic_trial.hpp"

#include <optional>
#include <string_view>

namespace skep::store {

/// How one route uses the semantic cache.
struct semantic_policy_config {
  /// May serve once proven; else it only measures.
  bool serve = false;
  /// In thousandths.
  std::uint32_t similarity_min = 900;
  guard_rule guard = guard_rule::words;
  /// The share of would-be hits that is answered by the model and compared all the same.
  double explore = 0.05;
  trial_config trial;
  index_config index;
};

/// Two answers say the same: equal but for case, spaces and punctuation at their ends, or with
/// equal guard signatures and lexical vectors of a cosine of at least 0.98. Everything else is
/// different, so that a right answer in other words counts as wrong rather than the reverse.
bool same_answer(std::string_view a, std::string_view b);

/// One route's semantic cache: an index, a threshold learned per entry, and the trial all would-be
/// hits have to pass. A candidate is a text that is similar enough and that the guard agrees with;
/// a would-be hit is a candidate whose entry has P(wrong) below the budget with 95 % probability;
/// it is served when the route has proved that its would-be hits are false less often than the
/// budget, except for a random share that goes on being compared. Pure: time and chance are passed
/// in. Not thread-safe.
class semantic_policy {
public:
  explicit semantic_policy(semantic_policy_config config);

  struct decision {
    key128 key;
    std::uint32_t similarity = 0;
    bool serve = false;
  };

  /// Nothing when there is no candidate. `chance` is a random number in [0, 1).
  std::optional<decision> find(const key128& partition, const byte_vector& vector,
                               const guard_signature& guard, double chance, time_point now);

  /// A text has now an answer of its own; false when the index refuses it.
  bool learn(const key128& partition, const key128& key, byte_vector vector, guard_signature guard,
             time_point now);

  /// How a candidate's answer compared with the real one.
  void compared(const key128& candidate, std::uint32_t similarity, bool right);

  void revoke(const key128& key) {
    index_.revoke(key);
  }
  void expire(time_point now) {
    index_.expire(now);
  }

  /// Would serve a would-be hit now.
  bool serving() const {
    return config_.serve && trial_.passed();
  }
  const semantic_trial& trial() const {
    return trial_;
  }
  const index_stats& stats() const {
    return index_.stats();
  }

private:
  bool would_hit(const similarity_record& record, std::uint32_t similarity) const;

  semantic_policy_config config_;
  semantic_index index_;
  threshold_model threshold_;
  semantic_trial trial_;
};

} // namespace skep::store
