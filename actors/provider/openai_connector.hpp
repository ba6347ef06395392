#pragma once

#include "actors/provider/answer_stream.hpp"
#include "actors/provider/config.hpp"
#include "actors/provider/fetch_events.hpp"
#include "actors/provider/meters.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/backoff.hpp"
#include "runtime/flow/retry_budget.hpp"
#include "runtime/flow/token_bucket.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// Speaks to one OpenAI-compatible base URL. A call is one HTTP exchange; it is tried again
/// (bounded in number, by a budget and by the call's deadline) as long as nothing of an answer has
/// left.
///
/// A stream is read only as fast as its caller takes it: at most a window of the provider's bytes
/// is ahead of what was delivered, then reading stops and TCP slows the provider down. A caller
/// that goes away closes the provider's socket.
class openai_connector : public rt::bounded_actor {
public:
  /// `base_url` without a slash at its end; `fetch` outlives the actor.
  openai_connector(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                   std::string provider, std::string base_url,
                   std::shared_ptr<const provider_config> options, net::http_client& fetch);

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  using job_id = std::uint64_t;

  struct job {
    rt::responder out;
    skep::context context;
    bool stream = false;
    // Above 0: the call asks for that many vectors instead of a chat.
    std::size_t vectors = 0;
    std::string body;
    std::size_t prompt_bytes = 0;
    time_point began{};
    std::uint32_t attempt = 0;
    // The transfer at work, and what tells its events from those of earlier ones.
    net::fetch_id fetch = 0;
    std::uint32_t epoch = 0;
    std::chrono::milliseconds retry_after{0};
    // Between two attempts.
    std::uint64_t timer = 0;
    flow::backoff backoff;
    duration waited{0};
    // Of a stream.
    std::optional<answer_stream> answer;
    bool opened = false;
    std::int64_t owed = 0; // Bytes read and not yet granted to the transfer again.
  };
  // The end of a connection whose answer is complete: read, so that it can be used again.
  struct tail {
    net::fetch_id fetch = 0;
    std::uint64_t timer = 0;
  };

  bool admit(const rt::call& c);
  void begin(const rt::call& c, const msg::chat_request& request);
  job_id open_job(const rt::call& c);
  void start_attempt(job_id id);
  net::fetch_headers headers_for(const skep::context& context) const;
  net::fetch_request fetch_request_for(const job& j) const;
  std::optional<duration> wait_before_retry(job& j, const failure& why);
  void attempt_failed(job_id id, failure why);
  void end(job_id id, errc how, const msg::token_usage& usage);
  void cancelled(job_id id);

  void fetched(const fetch_event& event);
  void deliver(job_id id);
  void read_tail(job_id id, net::fetch_id fetch, std::int64_t owed);
  void transfer_ended(job_id id, const fetch_event& event);
  void answer_whole(job_id id, const std::string& body);

  void embed(const rt::call& c, const msg::embed_request& request);
  void vectors_came(job_id id, const std::string& body);

  void list_models(const rt::call& c);
  void fetch_models(const skep::context& context);
  void models_came(const net::fetch_result& result);

  const std::string provider_;
  const std::string base_url_;
  const std::shared_ptr<const provider_config> options_;
  net::http_client& fetch_;
  provider_meters meters_;
  flow::retry_budget budget_;
  std::optional<flow::token_bucket> rate_;
  flow::rng random_;
  std::unordered_map<job_id, job> jobs_;
  std::unordered_map<job_id, tail> tails_;
  job_id last_job_ = 0;

  std::vector<rt::responder> models_waiting_;
  msg::models_reply models_;
  time_point models_fresh_until_{};
  // The transfer of the list; 0 when none is at work.
  job_id models_job_ = 0;
  net::fetch_id models_fetch_ = 0;
};

} // namespace skep::actors
