#pragma once

#include "actors/provider/config.hpp"
#include "actors/provider/meters.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/rng.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// What a simulated model says to a request: the same for the same request and seed. Pure.
struct simulated_answer {
  /// One token each, spaces included; the first one says that it is simulated.
  std::vector<std::string> tokens;
  std::string finish_reason = "stop";
  std::uint64_t prompt_tokens = 0;
};
simulated_answer simulate(const simulated_config& config, const msg::chat_request& request);

/// The vectors a simulated model gives: those of the built-in lexical embedder, and a model's name
/// that says so. Pure.
msg::embed_reply simulate(const msg::embed_request& request);

/// Stands in for a provider where there is none: answers by itself with a configured latency, token
/// rate and rates of failure, and says in every answer that it is simulated. Behaves like a real
/// one towards credit, cancel and deadlines.
class simulated_connector : public rt::bounded_actor {
public:
  simulated_connector(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                      std::string provider, std::shared_ptr<const provider_config> options);

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  using job_id = std::uint64_t;

  struct job {
    job_id id = 0;
    rt::responder out;
    std::string model;
    simulated_answer answer;
    // Of a request for vectors: the answer instead.
    std::optional<msg::embed_reply> vectors;
    time_point began{};
    time_point first_due{};
    std::size_t sent = 0;
    // Tokens after which the answer breaks off; 0: it does not.
    std::size_t cut_after = 0;
    std::uint64_t timer = 0;
    bool opened = false;
  };

  job* open_job(const rt::call& c);
  void begin(const rt::call& c, const msg::chat_request& request);
  void embed(const rt::call& c, const msg::embed_request& request);
  std::optional<failure> misfortune();
  failure from_here(failure why) const;
  duration first_token_delay();
  duration token_time(std::size_t tokens) const;
  void answer_whole(job_id id);
  msg::chat_reply whole_reply(const job& j) const;
  void stream(job_id id);
  bool may_send(const job& j) const;
  void send_due(job& j);
  void send_next(job& j);
  void open(job& j);
  void cut(job_id id);
  msg::token_usage usage_of(const job& j) const;
  void finish(job_id id, errc how);
  void list_models(const rt::call& c);

  const std::string provider_;
  const std::shared_ptr<const provider_config> options_;
  provider_meters meters_;
  flow::rng random_;
  std::unordered_map<job_id, job> jobs_;
  job_id last_job_ = 0;
};

} // namespace skep::actors
