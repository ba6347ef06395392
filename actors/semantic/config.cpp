#include "actors/semantic/config.hpp"

#include <cmath>
#include <optional>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

std::optional<config::violation> check(const semantic_config& c) {
  if (c.window_max < c.samples_min)
    return config::violation{"window_max", "must not be below samples_min"};
  if (c.partition_entries_max > c.entries_max)
    return config::violation{"partition_entries_max", "must not be above entries_max"};
  const auto slash = c.embedder.find('/');
  const bool named = slash != std::string::npos && slash > 0 && slash + 1 < c.embedder.size();
  if (c.embedder != "lexical" && !named)
    return config::violation{"embedder", "must be lexical, or read PROVIDER/MODEL"};
  return std::nullopt;
}

} // namespace

const config::table<semantic_config>& semantic_table() {
  using c = semantic_config;
  constexpr milliseconds one{1};
  constexpr milliseconds minute{60'000};
  static const config::table<c> rows
    = config::table<c>{
        option{"mode", &c::mode,
               {{"shadow", semantic_mode::shadow}, {"serve", semantic_mode::serve}},
               "shadow: only measures; serve: may serve once its would-be hits are proved good."},
        option{"budget_percent", &c::budget_percent, 0.1, 20.0,
               "The share of false hits that may be served."},
        option{"similarity_min", &c::similarity_min, 0.5, 1.0,
               "Texts of a smaller cosine are no candidates."},
        option{"guard",
               &c::guard,
               {{"words", store::guard_rule::words}, {"signature", store::guard_rule::signature}},
               "words: both texts must say the same words, small ones apart; signature: only "
               "numbers, negations, names, opposites and order must agree."},
        option{"explore_percent", &c::explore_percent, 0.1, 100.0,
               "The share of would-be hits the model answers all the same, to go on measuring."},
        option{"samples_min", &c::samples_min, 1u, 1'000'000u,
               "Comparisons before anything is served."},
        option{"window_max", &c::window_max, 1u, 1'000'000u,
               "Comparisons that count; older ones are forgotten."},
        option{"embedder", &c::embedder,
               "lexical (built in, sees spelling), or PROVIDER/MODEL for that provider's vectors."},
        option{"embed_timeout_ms", &c::embed_timeout, one, minute,
               "How long a lookup waits for the provider's vector; then it finds nothing."},
        option{"batch_max", &c::batch_max, 1u, 2048u, "Texts in one request for vectors."},
        option{"batch_wait_ms", &c::batch_wait, milliseconds{0}, minute,
               "How long a text waits for others to ask with."},
        option{"lookups_max", &c::lookups_max, 1u, 1'000'000u,
               "Texts that wait for a vector; further ones find nothing."},
        option{"entries_max", &c::entries_max, std::uint64_t{1}, std::uint64_t{1} << 24,
               "Texts that are remembered; the least recently used make room."},
        option{"partition_entries_max", &c::partition_entries_max, std::uint64_t{1},
               std::uint64_t{1} << 20, "Texts per partition: what one lookup scans."},
        option{"memory_bytes", &c::bytes_max, std::uint64_t{65'536}, std::uint64_t{1} << 40,
               "Memory of the vectors and what belongs to them."},
        option{"text_bytes", &c::text_max, std::uint64_t{16}, std::uint64_t{65'536},
               "Longer texts take no part: one word among many hardly moves a vector."},
        option{"revoked_max", &c::revoked_max, 1u, 10'000'000u,
               "Revoked entries that are remembered as such."},
        option{"ttl_ms", &c::ttl, one, milliseconds{2'592'000'000},
               "How long a text is remembered."},
      }
        .check(check);
  return rows;
}

store::semantic_policy_config policy_of(const semantic_config& from) {
  store::semantic_policy_config policy;
  policy.serve = from.mode == semantic_mode::serve;
  policy.similarity_min = static_cast<std::uint32_t>(std::lround(from.similarity_min * 1000));
  policy.guard = from.guard;
  policy.explore = from.explore_percent / 100;
  policy.trial.budget = from.budget_percent / 100;
  policy.trial.samples_min = from.samples_min;
  policy.trial.window_max = from.window_max;
  policy.index.entries_max = from.entries_max;
  policy.index.partition_entries_max = from.partition_entries_max;
  policy.index.bytes_max = from.bytes_max;
  policy.index.revoked_max = from.revoked_max;
  policy.index.ttl = from.ttl;
  return policy;
}

} // namespace skep::actors
