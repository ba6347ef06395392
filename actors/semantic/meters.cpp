#include "actors/semantic/meters.hpp"

namespace skep::actors {

namespace {

telemetry::label_set of(const std::string& policy) {
  return {{"policy", policy}};
}

} // namespace

semantic_meters::semantic_meters(telemetry::registry& m, const std::string& policy)
  : finds(m.counter("skep_semantic_finds_total", "Lookups in the semantic cache.", of(policy))),
    candidates(m.counter("skep_semantic_candidates_total",
                         "Lookups that found a similar text the guard agrees with.", of(policy))),
    served(m.counter("skep_semantic_served_total", "Lookups told to serve what they found.",
                     of(policy))),
    right(m.counter("skep_semantic_compared_total",
                    "Candidates compared with the real answer, by outcome.",
                    {{"policy", policy}, {"outcome", "right"}})),
    wrong(m.counter("skep_semantic_compared_total",
                    "Candidates compared with the real answer, by outcome.",
                    {{"policy", policy}, {"outcome", "wrong"}})),
    refused(m.counter("skep_semantic_refused_total",
                      "Texts that took no part: longer than text_bytes, or over lookups_max.",
                      of(policy))),
    embed_failures(m.counter("skep_semantic_embed_failures_total",
                             "Texts the embedder gave no vector for in time.", of(policy))),
    evicted_(m.counter("skep_semantic_evicted_total", "Texts that made room.", of(policy))),
    index_refused_(m.counter("skep_semantic_index_refused_total",
                             "Texts the index did not take: revoked, or vectors of another size.",
                             of(policy))),
    guarded_(m.counter("skep_semantic_guarded_total", "Similar texts that the guard turned down.",
                       of(policy))),
    serving_(m.gauge("skep_semantic_serving", "1 while would-be hits may be served, 0 in shadow.",
                     of(policy))),
    samples_(m.gauge("skep_semantic_samples", "Would-be hits compared, of the latest window_max.",
                     of(policy))),
    entries_(m.gauge("skep_semantic_entries", "Texts remembered.", of(policy))),
    partitions_(m.gauge("skep_semantic_partitions", "Partitions with a text.", of(policy))),
    bytes_(m.gauge("skep_semantic_bytes", "Memory of the index.", of(policy))),
    ratio_(m.gauge_callback("skep_semantic_false_hit_ratio",
                            "The measured share of false hits among would-be hits.", of(policy),
                            [all = shares_] { return all->ratio.load(); })),
    bound_(m.gauge_callback("skep_semantic_false_hit_bound",
                            "The upper end of that share's 95 % interval (Wilson).", of(policy),
                            [all = shares_] { return all->bound.load(); })) {}

void semantic_meters::show(const store::semantic_policy& policy) {
  const auto& now = policy.stats();
  evicted_.add(now.evicted - shown_.evicted);
  index_refused_.add(now.refused - shown_.refused);
  guarded_.add(now.guarded - shown_.guarded);
  shown_ = now;
  serving_.set(policy.serving() ? 1 : 0);
  samples_.set(static_cast<std::int64_t>(policy.trial().size()));
  entries_.set(static_cast<std::int64_t>(now.entries));
  partitions_.set(static_cast<std::int64_t>(now.partitions));
  bytes_.set(static_cast<std::int64_t>(now.bytes));
  shares_->ratio = policy.trial().false_ratio();
  shares_->bound = policy.trial().bound();
}

} // namespace skep::actors
