#include "actors/embedder/config.hpp"

#include "apis/openai/embeddings_json.hpp"

namespace skep::actors {

using config::option;
using std::chrono::milliseconds;

const config::table<embeddings_config>& embeddings_table() {
  using c = embeddings_config;
  constexpr auto inputs_max = static_cast<std::uint32_t>(embedding_inputs_max);
  static const config::table<c> rows{
    option{"count_max", &c::count_max, 1u, inputs_max,
           "Texts per call of a provider; requests of several callers share one. 1: no batching, "
           "each request is a call of its own."},
    option{"batch_bytes", &c::batch_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
           "Bytes of text per call; a request above it or above count_max goes on its own."},
    option{"age_ms", &c::age, milliseconds{0}, milliseconds{10'000},
           "While other calls are in flight a text waits this long for company; with none in "
           "flight it does not wait."},
    option{"in_flight_max", &c::in_flight_max, 1u, 10'000u,
           "Calls in flight per model and parameters; further texts wait and fill the next call."},
    option{"queue_max", &c::queue_max, inputs_max, 10'000'000u,
           "Texts waiting per model and parameters; further ones are refused with 503."},
    option{"held_bytes", &c::held_max, std::uint64_t{1} << 20, std::uint64_t{1} << 40,
           "Text held per provider, waiting or in flight; more is refused with 503."},
    option{"calls_max", &c::calls_max, 1u, 10'000'000u,
           "Requests held per provider; further ones are refused with 503."},
    option{"lines_max", &c::lines_max, 1u, 10'000u,
           "Pairs of model and parameters batched at once; requests of further ones go on their "
           "own."},
    option{"hedge", &c::hedge,
           "Ask a second time when an answer is late, and take whichever comes first."},
    option{"hedge_percentile", &c::hedge_percentile, 50.0, 99.99,
           "Late is slower than this percentile of recent calls of about the same size."},
    option{"hedge_budget_percent", &c::hedge_budget_percent, 0.0, 100.0,
           "Second calls per 100 first ones, at most."},
    option{"hedge_samples_min", &c::hedge_samples_min, 1u, hedge_samples_max,
           "Calls to learn from before the first one is asked twice."},
    option{"hedge_delay_min_ms", &c::hedge_delay_min, milliseconds{1}, milliseconds{600'000},
           "No answer is late before this."},
  };
  return rows;
}

flow::batcher_config batching_of(const embeddings_config& from) {
  flow::batcher_config made;
  made.count_max = from.count_max;
  made.bytes_max = from.batch_max;
  made.age_max = from.age;
  // Without batching there is nothing to wait for: the provider's own bounds hold.
  made.in_flight_max = from.count_max == 1 ? from.calls_max : from.in_flight_max;
  made.queue_count_max = from.queue_max;
  made.queue_bytes_max = from.held_max;
  return made;
}

flow::hedge_config hedging_of(const embeddings_config& from) {
  flow::hedge_config made;
  made.percentile = from.hedge_percentile;
  made.budget_ratio = from.hedge_budget_percent / 100.0;
  made.samples_min = from.hedge_samples_min;
  made.samples_max = hedge_samples_max;
  made.delay_min = from.hedge_delay_min;
  return made;
}

} // namespace skep::actors
