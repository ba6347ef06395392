#pragma once

#include "actors/embedder/config.hpp"
#include "actors/embedder/embed_batch.hpp"
#include "actors/embedder/meters.hpp"
#include "runtime/actor/bounded_actor.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace skep::actors {

/// "embed/NAME": the provider NAME for those who want vectors, spawned by its supervisor. Requests
/// of different callers for the same model and parameters share calls of the provider
/// (flow::batcher), equal texts are asked once, and a late call is made a second time
/// (flow::hedge_policy). Nobody notices but by the speed: each caller gets its own vectors in its
/// own order, its own errors, and is answered by its own deadline.
///
/// Serves embed_request; answers and errors are those of the provider, and errc::overloaded when a
/// bound of `[embeddings]` is reached. When the provider refuses a batch for what is in it, the
/// batch is halved until the callers with an offending text are alone. Tokens and requests larger
/// than a batch are handed on as they are. It keeps nothing that a restart would lose but what it
/// learnt of latencies.
class embedder : public rt::bounded_actor {
public:
  /// The provider as it is reached now; null when nobody has it.
  using upstream = std::function<caf::actor()>;

  embedder(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
           const std::string& provider, const embeddings_config& rules, upstream ask_at);

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  using id = std::uint64_t;

  /// What is asked for with one model and one set of parameters.
  struct line {
    line(std::string model_name, std::string parameters_json, const embeddings_config& rules);

    const std::string model;
    const std::string parameters;
    flow::batcher<id> batcher;
    flow::hedge_policy hedging;
    std::uint64_t timer = 0; // For the age of its oldest text.
    bool pumping = false;
    time_point used{};
  };
  struct caller {
    line* on = nullptr;
    rt::responder out;
    skep::context context;
    std::vector<std::string> texts;
    std::size_t bytes = 0;
    time_point came{};
    flow::batcher<id>::ticket ticket = 0;
    id flight = 0; // 0: waits.
    bool queued = true;
    bool once = true; // Its equal texts are asked once.
  };
  /// A batch at the provider.
  struct flight {
    line* on = nullptr;
    std::vector<id> callers; // In the order of the batch; those that left are in it, too.
    std::size_t staying = 0;
    embed_batch batch;
    skep::context context;
    time_point began{};
    rt::request_key first = 0;
    rt::request_key second = 0;
    std::uint64_t timer = 0; // Until the second call.
  };

  // Callers (embedder.cpp).
  void embed(const rt::call& c, const msg::embed_request& request);
  line* line_for(const msg::embed_request& request);
  void left(id who);
  void leave_queue(caller& who);
  std::optional<caller> release(id who);
  void pump(line& on);

  // Batches (upstream.cpp).
  void send_out(line& on, std::vector<id> callers);
  bool still_waits(id who);
  skep::context context_for(const std::vector<id>& callers);
  msg::embed_request request_of(const flight& f) const;
  void ask_upstream(id which, bool again);
  void watch(id which);
  void hedge(id which);
  void answered(id which, bool again, const rt::answer& got);
  void came(id which, bool again, const msg::embed_reply& reply);
  void failed(id which, const failure& why);
  void ask_in_parts(line& on, std::vector<id> callers, bool shared);
  flight close(id which);

  const embeddings_config rules_;
  const upstream upstream_;
  embedder_meters meters_;
  std::map<std::pair<std::string, std::string>, line> lines_;
  std::unordered_map<id, caller> callers_;
  std::unordered_map<id, flight> flights_;
  std::size_t held_ = 0; // Bytes of the callers' texts.
  id last_id_ = 0;
};

} // namespace skep::actors
