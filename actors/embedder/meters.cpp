#include "actors/embedder/meters.hpp"

namespace skep::actors {

namespace {

telemetry::label_set of(const std::string& provider) {
  return {{"provider", provider}};
}

/// Texts per call: powers of two.
telemetry::histogram_options sizes() {
  telemetry::histogram_options made;
  made.boundaries = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
  made.scale = 1.0;
  return made;
}

/// Waiting is a matter of milliseconds.
telemetry::histogram_options waits() {
  telemetry::histogram_options made;
  made.boundaries = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5};
  return made;
}

} // namespace

embedder_meters::embedder_meters(telemetry::registry& metrics, const std::string& provider)
  : requests(metrics.counter("skep_embedder_requests_total",
                             "Requests for embeddings that came to be batched.", of(provider))),
    texts(metrics.counter("skep_embedder_texts_total", "Texts of these requests.", of(provider))),
    spared(metrics.counter("skep_embedder_texts_spared_total",
                           "Texts not asked because an equal one was in the same batch.",
                           of(provider))),
    passed_on(metrics.counter("skep_embedder_passed_on_total",
                              "Requests that went on their own: tokens, or too large to share.",
                              of(provider))),
    refused(metrics.counter("skep_embedder_refused_total",
                            "Requests refused because too much was waiting.", of(provider))),
    batches(metrics.counter("skep_embedder_batches_total",
                            "Calls of the provider, second ones (hedges) not counted.",
                            of(provider))),
    halved(metrics.counter("skep_embedder_batches_halved_total",
                           "Batches asked again in halves because the provider refused a text.",
                           of(provider))),
    abandoned(metrics.counter("skep_embedder_batches_abandoned_total",
                              "Batches cancelled because every caller had gone.", of(provider))),
    hedges(metrics.counter("skep_embedder_hedges_total",
                           "Calls made a second time because the answer was late.", of(provider))),
    hedges_won(metrics.counter("skep_embedder_hedges_won_total",
                               "Second calls whose answer came first.", of(provider))),
    hedges_denied(metrics.counter("skep_embedder_hedges_denied_total",
                                  "Late calls not made again because the budget was spent.",
                                  of(provider))),
    queued(metrics.gauge("skep_embedder_queued_texts", "Texts waiting for a batch.", of(provider))),
    held_bytes(
      metrics.gauge("skep_embedder_held_bytes", "Text held, waiting or in flight.", of(provider))),
    in_flight(metrics.gauge("skep_embedder_in_flight", "Batches in flight.", of(provider))),
    lines(
      metrics.gauge("skep_embedder_lines", "Pairs of model and parameters known.", of(provider))),
    batch_texts(metrics.histogram("skep_embedder_batch_texts", "Texts per call of the provider.",
                                  of(provider), sizes())),
    wait(metrics.histogram("skep_embedder_wait_seconds",
                           "Time a request waited for its batch to go out.", of(provider),
                           waits())) {}

} // namespace skep::actors
