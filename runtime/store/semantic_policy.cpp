#include "runtime/store/semantic_policy.hpp"

#include "runtime/store/lexical_embedder.hpp"
#include "runtime/store/semantic_text.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace skep::store {

namespace {

constexpr float same_answer_cosine = 0.98f;

bool same_pieces(std::string_view a, std::string_view b) {
  const auto of_a = pieces_of(a);
  const auto of_b = pieces_of(b);
  return std::equal(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                    [](const text_piece& x, const text_piece& y) { return x.text == y.text; });
}

} // namespace

bool same_answer(std::string_view a, std::string_view b) {
  if (a == b || same_pieces(a, b))
    return true;
  const auto of_a = lexical_embedder::embed(a);
  const auto of_b = lexical_embedder::embed(b);
  const float cosine = std::inner_product(of_a.begin(), of_a.end(), of_b.begin(), 0.0f);
  return cosine >= same_answer_cosine
         && agree(guard_signature{a}, guard_signature{b}, guard_rule::words);
}

semantic_policy::semantic_policy(semantic_policy_config config)
  : config_(config), index_(config.index), trial_(config.trial) {}

bool semantic_policy::would_hit(const similarity_record& record, std::uint32_t similarity) const {
  return threshold_.wrong_bound(record, similarity) <= config_.trial.budget;
}

std::optional<semantic_policy::decision> semantic_policy::find(const key128& partition,
                                                               const byte_vector& vector,
                                                               const guard_signature& guard,
                                                               double chance, time_point now) {
  const auto best
    = index_.find(partition, vector, guard, config_.guard, config_.similarity_min, now);
  if (!best)
    return std::nullopt;
  decision made{best->key, best->similarity, false};
  // The cheap questions first: the threshold costs some ten microseconds.
  made.serve = serving() && chance >= config_.explore
               && would_hit(*index_.record_of(best->key), best->similarity);
  return made;
}

bool semantic_policy::learn(const key128& partition, const key128& key, byte_vector vector,
                            guard_signature guard, time_point now) {
  return index_.learn(partition, key, std::move(vector), std::move(guard), now);
}

void semantic_policy::compared(const key128& candidate, std::uint32_t similarity, bool right) {
  auto* record = index_.record_of(candidate);
  if (record == nullptr)
    return; // Evicted meanwhile: nothing that could still be served is known better now.
  // Only what would have been served proves anything about what will be, and the threshold is asked
  // before it learns the outcome.
  if (would_hit(*record, similarity))
    trial_.add(right);
  threshold_.learn(similarity, right, record->size());
  record->add(similarity, right);
}

} // namespace skep::store
